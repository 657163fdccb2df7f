"""The wire contract keeps its own rules: every element is explained, in the words of the project."""

import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import google.rpc
import pytest
from google.protobuf import descriptor_pb2 as pb

from .repository import ROOT

PROTOS = ROOT / "protos"
NAMES = sorted(path.relative_to(PROTOS).as_posix() for path in (PROTOS / "bloge").rglob("*.proto"))
FOREIGN_WORDS = re.compile(r"(?<![A-Za-z])(tasks?|jobs?|queues?)(?![a-z])", re.IGNORECASE)
"""Words that stand for our concepts in other systems; here a work item is a work item and a topic a topic."""
OTHER_MEANINGS: dict[str, str] = {}
"""Elements that use such a word for something else, and for what."""

# Numbers of the fields in descriptor.proto, which is what paths in the source info are made of.
MESSAGE, ENUM, SERVICE = 4, 5, 6
FIELD, NESTED, NESTED_ENUM, ONEOF, VALUE, METHOD = 2, 3, 4, 8, 2, 2


class Element(NamedTuple):
    """One element of a file, with its comment."""

    name: str
    comment: str


@cache
def described() -> dict[str, pb.FileDescriptorProto]:
    """Return our files as the compiler sees them, with their comments."""
    with TemporaryDirectory() as scratch:
        target = Path(scratch) / "set.pb"
        includes = [f"-I{PROTOS}", f"-I{Path(google.rpc.__path__[0]).parents[1]}"]
        outputs = ["--include_source_info", f"--descriptor_set_out={target}"]
        subprocess.run([sys.executable, "-m", "grpc_tools.protoc", *includes, *outputs, *NAMES], check=True)
        found = pb.FileDescriptorSet.FromString(target.read_bytes())
    return {file.name: file for file in found.file}


def elements(file: pb.FileDescriptorProto) -> Iterator[Element]:
    """Yield every element of a file that a reader can meet."""
    comments = {tuple(at.path): at.leading_comments + at.trailing_comments for at in file.source_code_info.location}
    for path, name in [
        *(found for index, each in enumerate(file.message_type) for found in _of_message(each, (MESSAGE, index))),
        *(found for index, each in enumerate(file.enum_type) for found in _of_enum(each, (ENUM, index))),
        *(found for index, each in enumerate(file.service) for found in _of_service(each, (SERVICE, index))),
    ]:
        yield Element(name, comments.get(path, ""))


Found = tuple[tuple[int, ...], str]


def _of_message(message: pb.DescriptorProto, path: tuple[int, ...], outer: str = "") -> Iterator[Found]:
    name = outer + message.name
    yield path, name
    for index, field in enumerate(message.field):
        yield (*path, FIELD, index), f"{name}.{field.name}"
    for index, oneof in enumerate(message.oneof_decl):
        if not oneof.name.startswith("_"):  # the compiler makes one of each optional field
            yield (*path, ONEOF, index), f"{name}.{oneof.name}"
    for index, nested in enumerate(message.nested_type):
        yield from _of_message(nested, (*path, NESTED, index), f"{name}.")
    for index, enum in enumerate(message.enum_type):
        yield from _of_enum(enum, (*path, NESTED_ENUM, index), f"{name}.")


def _of_enum(enum: pb.EnumDescriptorProto, path: tuple[int, ...], outer: str = "") -> Iterator[Found]:
    yield path, outer + enum.name
    for index, value in enumerate(enum.value):
        yield (*path, VALUE, index), f"{outer}{enum.name}.{value.name}"


def _of_service(service: pb.ServiceDescriptorProto, path: tuple[int, ...]) -> Iterator[Found]:
    yield path, service.name
    for index, method in enumerate(service.method):
        yield (*path, METHOD, index), f"{service.name}.{method.name}"


@pytest.mark.parametrize("name", NAMES)
def test_every_element_is_explained(name: str) -> None:
    """Services, methods, messages, fields, choices, enums and their values each have a comment."""
    assert [element.name for element in elements(described()[name]) if not element.comment.strip()] == []


@pytest.mark.parametrize("name", NAMES)
def test_fields_of_requests_say_whether_they_are_required(name: str) -> None:
    """An author of a client in any language reads it at the field."""
    requests = {message.name for message in described()[name].message_type if message.name.endswith("Request")}
    silent = [
        element.name
        for element in elements(described()[name])
        if element.name.partition(".")[0] in requests - {"WorkRequest", "WatchOutcomesRequest"}
        and "." in element.name
        and not re.match(r"\s*(Optional|Required)[.:]", element.comment)
    ]
    assert silent == []


@pytest.mark.parametrize("name", NAMES)
def test_enum_values_carry_their_enums_name(name: str) -> None:
    """Values live in the package's scope; the first is the one that an absent field has."""
    for enum in described()[name].enum_type:
        prefix = re.sub(r"(?<!^)(?=[A-Z])", "_", enum.name).upper() + "_"
        assert (enum.value[0].number, enum.value[0].name) == (0, f"{prefix}UNSPECIFIED")
        assert all(value.name.startswith(prefix) for value in enum.value)
        assert len({value.number for value in enum.value}) == len(enum.value)


def test_each_method_has_a_request_and_a_response_of_its_own() -> None:
    """So that either can grow without the other methods."""
    methods = [method for file in described().values() for service in file.service for method in service.method]
    used = [name for method in methods for name in (method.input_type, method.output_type)]
    assert len(set(used)) == len(used)
    for method in methods:
        assert method.input_type.endswith(f"{method.name}Request")
        assert method.output_type.endswith(f"{method.name}Response")


@pytest.mark.parametrize("name", NAMES)
def test_the_package_is_the_folder(name: str) -> None:
    """The proto package equals the import path, so generated imports are never rewritten."""
    assert described()[name].package == Path(name).parent.as_posix().replace("/", ".")


@pytest.mark.parametrize("name", NAMES)
def test_our_concepts_have_our_words(name: str) -> None:
    """No element is named, or explained, in another system's words."""
    texts = {each.name: f"{_words(each.name)} {each.comment}" for each in elements(described()[name])}
    wrong = [element for element, said in texts.items() if FOREIGN_WORDS.search(said)]
    assert [element for element in wrong if element not in OTHER_MEANINGS] == []


def _words(name: str) -> str:
    """Return a name with its words apart."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])|_", " ", name)


def test_the_committed_stubs_are_what_the_protos_generate() -> None:
    """`make proto` was run after the last change."""
    command = [sys.executable, str(PROTOS / "generate.py"), "--check"]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
