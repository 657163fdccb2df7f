"""Reads parts of one text with the rules of the grammar. What is wrong is collected, and reading goes on."""

from lark import TextSlice, Token, Tree, UnexpectedInput

from bloge_orchestrator.diagnostics import Diagnostic
from bloge_orchestrator.dsl.language import language
from bloge_orchestrator.dsl.scanner import scan
from bloge_orchestrator.dsl.source import Place, SourceText, parse_error
from bloge_orchestrator.dsl.syntax_messages import syntax_error
from bloge_orchestrator.dsl.tree import (
    GraphDeclaration,
    ImportDeclaration,
    MemberDeclaration,
    Setting,
    TypeDeclaration,
)
from bloge_orchestrator.dsl.tree_builder import TreeBuilder
from bloge_orchestrator.expressions import Expression, Literal

NESTING_MAX = 120
"""Deepest nesting of a text, in grammar rules. Keeps everything that walks a tree far from the interpreter's limit."""

HOLE_NESTING_MAX = 30
"""Deepest nesting inside one `${}` of a string."""

Built = GraphDeclaration | ImportDeclaration | MemberDeclaration | tuple[Setting, ...] | TypeDeclaration | Expression
"""What a start rule of the grammar builds."""


class Reader:
    """Reads one text. `problems` holds what was found wrong so far."""

    def __init__(self, text: str) -> None:
        self.source = SourceText(text)
        scanned = scan(self.source)
        self.bare = scanned.bare
        self.problems: list[Diagnostic] = [*scanned.problems]
        self._code = scanned.code
        self._builder = TreeBuilder(self.source, self._hole, scanned.docs, self.problems)

    def read(self, rule: str, start: int, end: int, inside: str, nesting_max: int = NESTING_MAX) -> Built | Diagnostic:
        """Read a part of the text with a rule of the grammar: gives what the rule builds, or the problem.

        Args:
            rule: The rule, one of `START_RULES`.
            start: Offset of the part.
            end: Offset behind the part.
            inside: What is being read, for messages.
            nesting_max: How deep it may be nested.

        """
        try:
            tree = language().parse(TextSlice(self._code, start, end), start=rule)
        except UnexpectedInput as error:
            return syntax_error(error, self.source, end, inside)
        if deep := too_deep(tree, nesting_max):
            return nested_too_deep(nesting_max, deep)
        built: Built = self._builder.transform(tree)
        return built

    def expression(self, start: int, end: int, nesting_max: int = NESTING_MAX) -> Expression:
        """Read an expression between two offsets; gives null if there is none."""
        result = self.read("expression", start, end, "the expression", nesting_max)
        if isinstance(result, Diagnostic):
            self.problems.append(result)
            return Literal(None)
        assert isinstance(result, Expression)
        return result

    def _hole(self, start: int, end: int) -> Expression:
        return self.expression(start, end, HOLE_NESTING_MAX)


def too_deep(tree: Tree[Token], nesting_max: int) -> Place | None:
    """Find a place that is nested too deep, without recursion."""
    level = [tree]
    for _ in range(nesting_max):
        level = [child for parent in level for child in parent.children if isinstance(child, Tree)]
        if not level:
            return None
    return Place(level[0].meta.line, level[0].meta.column)


def nested_too_deep(nesting_max: int, place: Place) -> Diagnostic:
    """Make the finding of a text that is nested deeper than it may be."""
    return parse_error("nesting-too-deep", f"nested deeper than {nesting_max} levels; split this up", place)
