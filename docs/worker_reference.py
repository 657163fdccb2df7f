"""Writes the reference of the worker SDK from its docstrings."""

import argparse
import ast
import inspect
import re
import sys
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType

import bloge_worker
import bloge_worker.testing
from bloge_worker import __main__ as command
from bloge_worker import metrics

PARTS = {
    "Workers": ["Worker", "WorkerConfig", "Security"],
    "Handlers": ["WorkContext", "Executor"],
    "How an item ends": ["BusinessError", "RetryLater", "Reject", "Release", "GraphCancelled", "ProgressTooLarge"],
    "Errors of workers": ["WorkerError", "ConfigError", "HandlerError", "WorkerClosed", "WorkerRefused"],
    "Numbers": ["WorkerStats", "HandlerStats"],
}
"""The public names of `bloge_worker`, in the order in which a reader meets them."""

MADE_BY_THE_WORKER = {"WorkContext"}
"""Classes whose constructors are nobody else's business."""

_LINE = 100
_OR = r"\|"
_SECTION = re.compile(r"^(Args|Returns|Raises|Yields):$")
_ENTRY = re.compile(r"^(\*{0,2}[\w.]+): (.*)$", re.DOTALL)


def reference() -> str:
    """Return the page."""
    named = sorted(name for names in PARTS.values() for name in names)
    assert named == sorted(bloge_worker.__all__), "every public name has its place"
    lines = ["# Reference of the worker SDK\n"]
    for title, names in PARTS.items():
        lines.append(f"## {title}\n")
        lines += (text for name in names for text in _thing(bloge_worker, name))
    lines += ["## Testing\n", "`bloge_worker.testing`\n"]
    lines += (text for name in bloge_worker.testing.__all__ for text in _thing(bloge_worker.testing, name))
    lines += ["## Metrics\n", f"{_prose(inspect.getdoc(metrics) or '')}\n", "| metric | what it says |", "|---|---|"]
    lines += [f"| `{name}` | {text} |" for name, text in metrics.METRICS.items()]
    lines += ["", *_thing(metrics, "WorkerCollector"), "## The command\n", *_command()]
    return "\n".join(lines).rstrip() + "\n"


def _command() -> Iterator[str]:
    parser = command.make_parser()
    yield f"`bloge-worker module:worker [flags]`. {parser.description} {parser.epilog}\n"
    yield "| flag | what it does |"
    yield "|---|---|"
    for action in parser._actions:  # noqa: SLF001 - argparse has no public way to list flags
        if action.option_strings and not isinstance(action, argparse._HelpAction):  # noqa: SLF001 - as above
            value = f" {action.metavar or _OR.join(action.choices or ())}" if action.nargs != 0 else ""
            yield f"| `{action.option_strings[-1]}{value}` | {action.help} |"


def _thing(module: ModuleType, name: str) -> Iterator[str]:
    """Yield the text about a public name."""
    node, doc = _found(module, name)
    yield f"### {name}\n"
    if isinstance(node, ast.ClassDef):
        yield from _class(node)
    elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        yield _code(_signature(node))
        yield _prose(ast.get_docstring(node) or "")
    else:
        yield _code(_written(node))
        yield _prose(doc)


def _found(module: ModuleType, name: str) -> tuple[ast.stmt, str]:
    """Return the statement that defines a name, in whatever module it stands, and the text below it."""
    thing = getattr(module, name)
    home = (
        sys.modules[getattr(thing, "__module__", "")] if inspect.isclass(thing) or inspect.isfunction(thing) else None
    )
    for each in [home] if home else _modules_of(module):
        body = ast.parse(Path(inspect.getfile(each)).read_text()).body
        for node, text in zip(body, [*body[1:], ast.Pass()], strict=True):
            if name in _names(node):
                return node, _text(text)
    raise LookupError(name)


def _modules_of(package: ModuleType) -> list[ModuleType]:
    return [module for name, module in sorted(sys.modules.items()) if name.startswith(package.__name__)]


def _names(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        return [node.name]
    if isinstance(node, ast.Assign):
        return [target.id for target in node.targets if isinstance(target, ast.Name)]
    return [node.target.id] if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) else []


def _text(node: ast.AST) -> str:
    """Return the docstring that a statement is; empty if it is none."""
    value = node.value if isinstance(node, ast.Expr) else None
    return inspect.cleandoc(value.value) if isinstance(value, ast.Constant) and isinstance(value.value, str) else ""


def _class(node: ast.ClassDef) -> Iterator[str]:
    constructor = next((each for each in _functions(node) if each.name == "__init__"), None)
    if node.name in MADE_BY_THE_WORKER:
        constructor = None
    bases = ", ".join(_written(base) for base in node.bases)
    heading = f"class {node.name}({bases})" if bases else f"class {node.name}"
    yield _code(heading if constructor is None else _signature(constructor, node.name))
    yield _prose(ast.get_docstring(node) or "")
    fields = list(_fields(node))
    if fields:
        yield (
            "\n".join(f"- `{declaration}`" + (f": {_joined(text)}" if text else "") for declaration, text in fields)
            + "\n"
        )
    for each in _functions(node):
        if not each.name.startswith("_"):
            yield f"**`{_member(node.name, each)}`**\n"
            yield _prose(ast.get_docstring(each) or "")


def _functions(node: ast.ClassDef) -> Iterable[ast.FunctionDef | ast.AsyncFunctionDef]:
    return [each for each in node.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)]


def _fields(node: ast.ClassDef) -> Iterator[tuple[str, str]]:
    """Yield the fields of a class with their texts."""
    for each, text in zip(node.body, [*node.body[1:], ast.Pass()], strict=True):
        if isinstance(each, ast.AnnAssign) and not _written(each.target).startswith("_"):
            yield _declaration(each), _text(text)


def _declaration(node: ast.AnnAssign) -> str:
    """Return a field with its default, however that is written."""
    name, kind, value = _written(node.target), _type(node.annotation), node.value
    if isinstance(value, ast.Call) and _written(value.func) in {"field", "dataclasses.field"}:
        given = {each.arg: each.value for each in value.keywords}
        factory = given.get("default_factory")
        value = ast.Call(func=factory, args=[], keywords=[]) if factory else given.get("default")
    return f"{name}: {kind}" + (f" = {_written(value)}" if value else "")


def _member(owner: str, node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    if any(isinstance(each, ast.Name) and each.id == "property" for each in node.decorator_list):
        return f"{owner}.{node.name}: {_type(node.returns)}"
    return _signature(node, f"{owner}.{node.name}")


def _signature(node: ast.FunctionDef | ast.AsyncFunctionDef, name: str = "") -> str:
    """Return how to call something, without `self`; a constructor over several lines where one would be too long."""
    arguments = list(_arguments(node.args))
    returns = f" -> {_type(node.returns)}" if node.name != "__init__" else ""
    start = ("await " if isinstance(node, ast.AsyncFunctionDef) else "") + (name or node.name)
    line = f"{start}({', '.join(arguments)}){returns}"
    if len(line) <= _LINE or node.name != "__init__":
        return line
    return f"{start}(\n    " + ",\n    ".join(arguments) + f",\n){returns}"


def _arguments(arguments: ast.arguments) -> Iterator[str]:
    """Yield the parameters, `self` left out."""
    positional = [*arguments.posonlyargs, *arguments.args]
    defaults = [*[None] * (len(positional) - len(arguments.defaults)), *arguments.defaults]
    for each, default in zip(positional, defaults, strict=True):
        if each.arg != "self":
            yield _argument(each, default)
    if arguments.kwonlyargs:
        yield "*"
    for each, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        yield _argument(each, default)
    if arguments.kwarg:
        yield f"**{_argument(arguments.kwarg, None)}"


def _argument(argument: ast.arg, default: ast.expr | None) -> str:
    kind = f": {_type(argument.annotation)}" if argument.annotation else ""
    return f"{argument.arg}{kind}" + (f" = {_written(default)}" if default else "")


def _type(annotation: ast.expr | None) -> str:
    """Return an annotation, without the quotes that hide it from the interpreter."""
    if annotation is None:
        return "None"
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        return annotation.value
    return _written(annotation)


def _written(node: ast.AST) -> str:
    """Return code as our formatter writes it."""
    return ast.unparse(node).replace("'", '"')


def _code(text: str) -> str:
    return f"```python\n{text}\n```\n"


def _prose(doc: str) -> str:
    """Return a docstring as Markdown: its sections become lists, its examples code."""
    parts: list[str] = []
    for block in re.split(r"\n\n+", doc):
        head, _, rest = block.partition("\n")
        section = _SECTION.match(head)
        if section:
            parts.append(f"{section.group(1)}:\n\n{_entries(textwrap.dedent(rest))}")
        else:
            parts.append(_code(block).rstrip() if _is_code(block) else _joined(block))
    return "\n\n".join(parts) + "\n"


def _is_code(block: str) -> bool:
    """Tell an example from prose: prose ends in a stop or a colon, and does not begin like a statement."""
    return re.match(r"(worker|outcome|with|prometheus_client|@worker|assert)\b.*[(=:]", block) is not None


def _entries(text: str) -> str:
    """Return the entries of a section as a list; a section of free text as it is."""
    entries = [_joined(each) for each in re.split(r"\n(?! )", text)]
    found = [(_ENTRY.match(each), each) for each in entries]
    return "\n".join(f"- `{match.group(1)}`: {match.group(2)}" if match else f"- {each}" for match, each in found)


def _joined(text: str) -> str:
    return " ".join(text.split())
