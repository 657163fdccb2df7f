"""What a handler's annotation makes of its input."""

import dataclasses
import datetime as dt
import decimal
import enum
import sys
import uuid
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, NewType, NotRequired, TypedDict

import pydantic
import pytest

from bloge_worker import HandlerError
from bloge_worker.handlers import make_handler
from bloge_worker.testing import HandlerOutcome, run_handler


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclasses.dataclass
class Size:
    width: int
    height: int = 1


@dataclasses.dataclass
class Picture:
    name: str
    size: Size
    frames: list[Size] = dataclasses.field(default_factory=list)
    parent: "Picture | None" = None


@dataclasses.dataclass
class Circle:
    radius: float


@dataclasses.dataclass
class Square:
    side: float

    def __post_init__(self) -> None:
        if self.side < 0:
            raise ValueError("side is negative")


class Order(TypedDict):
    sku: str
    size: Size
    note: NotRequired[str]


class Invoice(pydantic.BaseModel):
    number: int


Sku = NewType("Sku", str)


def bind(annotation: Any, value: Any) -> HandlerOutcome:
    """Run a handler whose input has an annotation; its output tells what it was given."""

    def handle(given: Any) -> list[str]:
        return [type(given).__name__, repr(given)]

    handle.__annotations__["given"] = annotation
    return run_handler(handle, value)


def test_dataclasses_are_built_with_their_members() -> None:
    """Nested classes, lists, optionals and self-references are built; unknown members are passed over."""
    seen: list[Picture] = []

    def handle(picture: Picture) -> None:
        seen.append(picture)

    value = {
        "name": "p",
        "size": {"width": 2, "depth": 9},
        "frames": [{"width": 1}],
        "parent": {"name": "q", "size": {"width": 1}},
    }
    assert run_handler(handle, value).kind == "completed"
    assert seen == [Picture("p", Size(2), [Size(1)], Picture("q", Size(1)))]


def test_typed_dicts_are_checked_for_required_keys() -> None:
    """Members of known types are built; a missing key fails for good; unknown members stay."""
    seen: list[Any] = []

    def handle(order: Order) -> None:
        seen.append(order)

    assert run_handler(handle, {"sku": "s", "size": {"width": 1}, "more": [1]}).kind == "completed"
    assert seen == [{"sku": "s", "size": Size(1), "more": [1]}]
    outcome = run_handler(handle, {"size": {"width": 1}})
    assert (outcome.error_type, outcome.non_retryable) == ("InvalidInput", True)
    assert outcome.message == "input: not a Order: missing sku"


def test_pydantic_models_validate() -> None:
    """A class with `model_validate` is used without the SDK knowing pydantic, for input and output."""

    def handle(invoice: Invoice) -> Invoice:
        return Invoice(number=invoice.number + 1)

    assert run_handler(handle, {"number": "41"}).output == {"number": 42}
    outcome = run_handler(handle, {"number": "secret"})
    assert (outcome.error_type, outcome.non_retryable) == ("InvalidInput", True)
    assert outcome.message.startswith("input.number: Input should be a valid integer")
    assert "secret" not in outcome.message
    nested = bind(list[Invoice], [{"number": 1}, {}])
    assert nested.message == "input[1].number: Field required"


def test_the_sdk_does_not_need_pydantic() -> None:
    """No module of it imports the library."""
    users = [
        name for name, module in sys.modules.items() if name.startswith("bloge_worker") and "pydantic" in vars(module)
    ]
    assert users == []


@pytest.mark.parametrize(
    ("annotation", "value", "given"),
    [
        (int, 3, "3"),
        (int, 3.0, "3"),
        (float, 3, "3.0"),
        (bool, True, "True"),
        (str, "x", "'x'"),
        (list, [1], "[1]"),
        (dict, {"a": 1}, "{'a': 1}"),
        (list[float], [1, 2], "[1.0, 2.0]"),
        (Sequence[int], [1.0], "[1]"),
        (dict[str, float], {"a": 1}, "{'a': 1.0}"),
        (Mapping[str, Any], {"a": 1}, "{'a': 1}"),
        (tuple[int, str], [1, "a"], "(1, 'a')"),
        (tuple[float, ...], [1, 2, 3], "(1.0, 2.0, 3.0)"),
        (int | None, None, "None"),
        (int | str, "x", "'x'"),
        (Circle | Square, {"side": 2}, "Square(side=2.0)"),
        (Colour, "red", "<Colour.RED: 'red'>"),
        (Literal["a", 1], 1, "1"),
        (Sku, "x", "'x'"),
        (Annotated[int, "up to ten"], 3.0, "3"),
        (
            dt.datetime,
            "2026-01-02T03:04:05+00:00",
            "datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc)",
        ),
        (dt.date, "2026-01-02", "datetime.date(2026, 1, 2)"),
        (uuid.UUID, "12345678-1234-5678-1234-567812345678", "UUID('12345678-1234-5678-1234-567812345678')"),
        (decimal.Decimal, "0.10", "Decimal('0.10')"),
        (decimal.Decimal, 0.1, "Decimal('0.1')"),
        (Any, [1], "[1]"),
        (object, "x", "'x'"),
        (Any | int, "x", "'x'"),
    ],
    ids=str,
)
def test_json_becomes_the_annotated_type(annotation: Any, value: Any, given: str) -> None:
    """Scalars are checked, containers member by member; a type that says nothing is passed over."""
    assert bind(annotation, value).output[1] == given


@pytest.mark.parametrize(
    ("annotation", "value", "problem"),
    [
        (int, "3", "input: expected int, found str"),
        (int, True, "input: expected int, found bool"),
        (int, 3.5, "input: expected int, found float"),
        (float, False, "input: expected float, found bool"),
        (str, None, "input: expected str, found null"),
        (dict, [1, 2], "input: expected an object, found a list of 2"),
        (list[int], {"a": 1}, "input: expected a list, found an object"),
        (list[int], [1, "x"], "input[1]: expected int, found str"),
        (dict[str, int], {"a": "x"}, "input.a: expected int, found str"),
        (tuple[int, int], [1], "input: expected a list of 2, found a list of 1"),
        (int | str, [1], "input: expected int or str, found a list of 1"),
        (Size | None, {"width": "x"}, "input.width: expected int, found str"),
        (Circle | Square, {"edge": 2}, "input: expected Circle or Square, found an object"),
        (Colour, "green", "input: expected one of 'red', 'blue'"),
        (Literal[1], True, "input: expected one of 1"),
        (dt.datetime, "tomorrow", "input: the text is not an instant in ISO 8601"),
        (dt.date, 5, "input: expected a date in ISO 8601, found int"),
        (uuid.UUID, "x", "input: the text is not a UUID"),
        (decimal.Decimal, "x", "input: the text is not a decimal number"),
        (Picture, 5, "input: expected an object for Picture, found int"),
        (Picture, {"name": 1, "size": {"width": 1}}, "input.name: expected str, found int"),
        (Picture, {"name": "p"}, "input: not a Picture: missing size"),
        (Picture, {"name": "p", "size": {"width": 1}, "frames": [{}]}, "input.frames[0]: not a Size: missing width"),
        (list[Square], [{"side": -1}], "input[0]: not a Square: side is negative"),
    ],
    ids=str,
)
def test_an_input_that_does_not_fit_fails_for_good(annotation: Any, value: Any, problem: str) -> None:
    """No retry mends it: a dead letter that says where and what, without repeating the producer's data."""
    outcome = bind(annotation, value)
    assert (outcome.kind, outcome.error_type, outcome.non_retryable) == ("failed", "InvalidInput", True)
    assert outcome.message == problem


def test_an_annotation_that_is_not_there_at_run_time_is_refused_at_registration() -> None:
    """Else the handler would be given a dict where its author expects a class."""

    def handle(value: "Missing") -> None: ...  # type: ignore[name-defined]  # noqa: F821 - the point of the test

    with pytest.raises(HandlerError, match="'Missing' is not defined"):
        make_handler(handle, "topic")


def test_a_return_annotation_is_nobodys_business() -> None:
    """A type that only type checkers can see does not keep a handler from being registered."""

    def handle(value: int) -> "Missing":  # type: ignore[name-defined]  # noqa: F821 - the point of the test
        return value

    assert run_handler(handle, 3).output == 3


def test_what_comes_in_as_a_type_goes_out_as_json() -> None:
    """Instants, UUIDs, decimals and enumerations are written as they are read."""

    def handle(given: dict[str, Any]) -> dict[str, Any]:
        return {
            "at": dt.datetime(2026, 1, 2, tzinfo=dt.UTC),
            "day": dt.date(2026, 1, 2),
            "id": uuid.UUID(int=5),
            "price": decimal.Decimal("0.10"),
            "colour": Colour.BLUE,
            "size": Size(2),
        }

    assert run_handler(handle, {}).output == {
        "at": "2026-01-02T00:00:00+00:00",
        "day": "2026-01-02",
        "id": "00000000-0000-0000-0000-000000000005",
        "price": "0.10",
        "colour": "blue",
        "size": {"width": 2, "height": 1},
    }
