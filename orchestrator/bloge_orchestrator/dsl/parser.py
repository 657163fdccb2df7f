"""Reads graph texts and expressions. What is wrong comes back as findings, many from one pass."""

from collections.abc import Iterator
from dataclasses import dataclass

from lark import TextSlice, Token, Tree, UnexpectedInput

from bloge_orchestrator.diagnostics import Diagnostic, GraphInvalid
from bloge_orchestrator.dsl.language import language
from bloge_orchestrator.dsl.outline import MEMBER_RULES, Chunk, Outline, first_word, outline
from bloge_orchestrator.dsl.refused import REFUSED, refusal
from bloge_orchestrator.dsl.scanner import scan
from bloge_orchestrator.dsl.source import SOURCE_LENGTH_MAX, Place, SourceText, parse_error
from bloge_orchestrator.dsl.syntax_messages import syntax_error
from bloge_orchestrator.dsl.tree import GraphDeclaration, MemberDeclaration
from bloge_orchestrator.dsl.tree_builder import TreeBuilder
from bloge_orchestrator.expressions import Expression, Literal
from bloge_orchestrator.suggestions import did_you_mean

NESTING_MAX = 120
"""Deepest nesting of a text, in grammar rules. Keeps everything that walks a tree far from the interpreter's limit."""

HOLE_NESTING_MAX = 30
"""Deepest nesting inside one `${}` of a string."""


@dataclass(frozen=True, slots=True)
class ParsedGraph:
    """What a text holds: the graph, as far as it could be read, and the findings in the order of the source."""

    graph: GraphDeclaration | None
    problems: tuple[Diagnostic, ...]


def parse_graph(text: str) -> ParsedGraph:
    """Read the text of a file; never raises."""
    if refused := _unreadable(text):
        return ParsedGraph(None, (refused,))
    reader = _Reader(text)
    graph = reader.graph()
    return ParsedGraph(graph, tuple(sorted(reader.problems, key=lambda problem: (problem.line, problem.column))))


def parse_expression(text: str) -> Expression:
    """Read one expression.

    Raises:
        GraphInvalid: If the text is not an expression.

    """
    problems = [refused] if (refused := _unreadable(text)) else []
    if not problems:
        reader = _Reader(text)
        expression = reader.expression(0, len(text), NESTING_MAX)
        problems = reader.problems
    if problems:
        raise GraphInvalid(problems, source=text, filename="<expression>")
    return expression


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


_Built = GraphDeclaration | MemberDeclaration | Expression
"""What a start rule of the grammar builds."""


class _Reader:
    """Reads one text; collects problems on the way."""

    def __init__(self, text: str) -> None:
        self._source = SourceText(text)
        self._scan = scan(self._source)
        self.problems: list[Diagnostic] = [*self._scan.problems]
        self._builder = TreeBuilder(self._source, self._hole, self._scan.docs, self.problems)

    def graph(self) -> GraphDeclaration | None:
        """Read a whole graph; if that fails, read its members one by one."""
        graph = self._read("graph", 0, len(self._source.text), "the text", NESTING_MAX)
        if isinstance(graph, GraphDeclaration):
            return graph
        assert isinstance(graph, Diagnostic)
        found_before = len(self.problems)
        partial = self._members_of_broken_graph()
        if len(self.problems) == found_before:
            self.problems.append(graph)
        return partial

    def expression(self, start: int, end: int, nesting_max: int) -> Expression:
        """Read an expression between two offsets; gives null if there is none."""
        result = self._read("expression", start, end, "the expression", nesting_max)
        if isinstance(result, Expression):
            return result
        assert isinstance(result, Diagnostic)
        self.problems.append(result)
        return Literal(None)

    def _hole(self, start: int, end: int) -> Expression:
        return self.expression(start, end, HOLE_NESTING_MAX)

    def _read(self, rule: str, start: int, end: int, inside: str, nesting_max: int) -> _Built | Diagnostic:
        """Parse a part of the text with a grammar rule: gives what the rule builds, or the problem."""
        try:
            tree = language().parse(TextSlice(self._scan.code, start, end), start=rule)
        except UnexpectedInput as error:
            return syntax_error(error, self._source, end, inside)
        if deep := _too_deep(tree, nesting_max):
            return parse_error("nesting-too-deep", f"nested deeper than {nesting_max} levels; split this up", deep)
        built: _Built = self._builder.transform(tree)
        return built

    def _members_of_broken_graph(self) -> GraphDeclaration | None:
        start = self._refuse_imports()
        found = outline(self._scan.bare, start)
        if found is None:
            self._refuse_root(start)
            return None
        members = tuple(self._members(found))
        self._check_end(found)
        return GraphDeclaration(found.name, members, self._source.place(found.name_offset), complete=False)

    def _refuse_imports(self) -> int:
        """Refuse the imports above the graph; give the offset behind them."""
        start = 0
        while True:
            word, offset = first_word(self._scan.bare, start)
            if word != "import":
                return start
            self.problems.append(refusal(word, self._source.place(offset)))
            newline = self._scan.bare.find("\n", offset)
            start = newline if newline >= 0 else len(self._scan.bare)

    def _refuse_root(self, start: int) -> None:
        word, offset = first_word(self._scan.bare, start)
        if word in REFUSED:
            self.problems.append(refusal(word, self._source.place(offset)))
        elif word != "graph":
            found = f"found `{word[:40]}`" if word else "found nothing"
            message = f"a file holds one `graph name {{ ... }}`; {found}"
            self.problems.append(parse_error("missing-graph", message, self._source.place(offset)))

    def _members(self, found: Outline) -> Iterator[MemberDeclaration]:
        for chunk in found.chunks:
            member = self._member(chunk)
            if isinstance(member, Diagnostic):
                self.problems.append(member)
            else:
                yield member

    def _member(self, chunk: Chunk) -> MemberDeclaration | Diagnostic:
        place = self._source.place(chunk.start)
        if chunk.keyword in REFUSED:
            return refusal(chunk.keyword, place)
        rule = MEMBER_RULES.get(chunk.keyword)
        if rule is None:
            found = chunk.keyword[:40] or self._scan.bare[chunk.start]
            hint = did_you_mean(chunk.keyword, MEMBER_RULES)
            return parse_error("unknown-member", f"`{found}` is not a member of a graph{hint}", place)
        name, _ = first_word(self._scan.bare, chunk.start + len(chunk.keyword))
        inside = f"{chunk.keyword} {name[:40]}".rstrip()
        member = self._read(rule, chunk.start, chunk.end, inside, NESTING_MAX)
        assert isinstance(member, MemberDeclaration | Diagnostic)
        return member

    def _check_end(self, found: Outline) -> None:
        if found.end is None:
            if not found.chunks or found.chunks[-1].closed:
                message = f"graph {found.name} is not closed: a `}}` is missing"
                self.problems.append(parse_error("syntax-error", message, self._source.place(found.name_offset)))
            return
        word, offset = first_word(self._scan.bare, found.end)
        if offset < len(self._scan.bare):
            message = f"unexpected `{word[:40] or self._scan.bare[offset]}` behind the end of graph {found.name}"
            if word == "graph":
                message += "; a file holds one graph"
            self.problems.append(parse_error("syntax-error", message, self._source.place(offset)))


def _too_deep(tree: Tree[Token], nesting_max: int) -> Place | None:
    """Find a place that is nested too deep, without recursion."""
    level = [tree]
    for _ in range(nesting_max):
        level = [child for parent in level for child in parent.children if isinstance(child, Tree)]
        if not level:
            return None
    return Place(level[0].meta.line, level[0].meta.column)
