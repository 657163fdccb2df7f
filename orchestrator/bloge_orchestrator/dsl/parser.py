"""Reads graph texts, types and expressions. What is wrong comes back as findings, many from one pass."""

from dataclasses import dataclass

from bloge_orchestrator.diagnostics import Diagnostic, GraphInvalid
from bloge_orchestrator.dsl.reader import Reader
from bloge_orchestrator.dsl.recovery import recover
from bloge_orchestrator.dsl.source import SOURCE_LENGTH_MAX, Place, SourceText, parse_error
from bloge_orchestrator.dsl.tree import GraphDeclaration, TypeDeclaration
from bloge_orchestrator.expressions import Expression


@dataclass(frozen=True, slots=True)
class ParsedGraph:
    """What a text holds: the graph, as far as it could be read, and the findings in the order of the source."""

    graph: GraphDeclaration | None
    problems: tuple[Diagnostic, ...]


def parse_graph(text: str) -> ParsedGraph:
    """Read the text of a file; never raises."""
    if refused := _unreadable(text):
        return ParsedGraph(None, (refused,))
    reader = Reader(text)
    graph = _graph(reader)
    return ParsedGraph(graph, tuple(sorted(reader.problems, key=lambda problem: (problem.line, problem.column))))


def _graph(reader: Reader) -> GraphDeclaration | None:
    """Read a whole file; if that fails, its parts one by one."""
    whole = reader.read("file", 0, len(reader.source.text), "the text")
    if isinstance(whole, GraphDeclaration):
        return whole
    assert isinstance(whole, Diagnostic)
    found_before = len(reader.problems)
    partial = recover(reader)
    if len(reader.problems) == found_before:
        reader.problems.append(whole)
    return partial


def parse_expression(text: str) -> Expression:
    """Read one expression.

    Raises:
        GraphInvalid: If the text is not an expression.

    """
    reader = _reader(text, "<expression>")
    expression = reader.expression(0, len(text))
    _refuse_if_any(reader, "<expression>")
    return expression


def parse_type(text: str) -> TypeDeclaration:
    """Read one declared type, such as `Int?` or `[String]`.

    Raises:
        GraphInvalid: If the text is not a type.

    """
    reader = _reader(text, "<type>")
    declared = reader.read("type", 0, len(text), "the type")
    if isinstance(declared, Diagnostic):
        reader.problems.append(declared)
    _refuse_if_any(reader, "<type>")
    assert isinstance(declared, TypeDeclaration)
    return declared


def _reader(text: str, name: str) -> Reader:
    if refused := _unreadable(text):
        raise GraphInvalid([refused], source=text, filename=name)
    return Reader(text)


def _refuse_if_any(reader: Reader, name: str) -> None:
    if reader.problems:
        raise GraphInvalid(reader.problems, source=reader.source.text, filename=name)


def _unreadable(text: str) -> Diagnostic | None:
    if len(text) > SOURCE_LENGTH_MAX:
        message = f"the text has {len(text)} characters; at most {SOURCE_LENGTH_MAX} can be read"
        return parse_error("source-too-large", message, Place(1, 1))
    try:
        text.encode()
    except UnicodeEncodeError as error:
        message = f"U+{ord(text[error.start]):04X} is not a character; write the text in UTF-8"
        return parse_error("invalid-character", message, SourceText(text).place(error.start))
    return None
