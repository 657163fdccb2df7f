"""How each construct of the language is set."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TypeAlias

from lark import Token, Tree

from bloge_orchestrator.formatting.comments import Comment, Words, first_word, last_word
from bloge_orchestrator.formatting.documents import AtLineEnd, Document, Either, Indented, Line, group, joined

Part: TypeAlias = "Tree[Token] | Token"

_BLOCKS = frozenset({"graph", "node", "block", "clause", "branch", "foreach", "transformation", "fields", "when"})
"""What stands in braces, one thing under the other, or behind each other with commas between."""

_TIGHT = frozenset({"mode", "operator_name", "subgraph", "optional_type", "list_type", "unary", "atom"})
_TIGHT_PATHS = frozenset({"member", "safe_member", "index", "safe_index"})
"""What is set without blanks between its words."""

_COLON_BEHIND_NAME = frozenset({"field", "pair", "projection"})
"""Where the colon touches the name before it."""


class Constructs:
    """Sets the parts of one text.

    Args:
        words: Its words, with what stands around them.
    """

    def __init__(self, words: Words) -> None:
        self._words = words
        self._held: set[int | None] = set()

    def file(self, tree: Tree[Token]) -> Document:
        """Set a whole file."""
        documents = self._lines(tree.children)
        for comment in self._words.at_the_end:
            gap = (Line.ALWAYS, Line.ALWAYS) if comment.blank_before else (Line.ALWAYS,)
            documents.append((*gap, _comment(comment)))
        return tuple(documents)

    def part(self, part: Part) -> Document:
        """Set a part."""
        if isinstance(part, Token):
            return self._word(part)
        name = str(part.data)
        if name in _BLOCKS:
            return self._block(part, always=name == "graph")
        if name in _TIGHT or name in _TIGHT_PATHS:
            return tuple(map(self.part, part.children))
        special = _SPECIAL.get(name)
        return special(self, part) if special else self._spaced(part.children, name in _COLON_BEHIND_NAME)

    # ---- words and their comments ----

    def _word(self, token: Token) -> Document:
        if token.start_pos in self._held:
            return str(token)
        return (str(token), self._behind(token, breaks=False))

    def _behind(self, token: Token, *, breaks: bool) -> Document:
        return tuple(_behind(comment, breaks=breaks) for comment in self._words.around(token).behind)

    def _above(self, token: Token) -> Document:
        around = self._words.around(token)
        documents: list[Document] = []
        for number, comment in enumerate(around.above):
            if number and comment.blank_before:
                documents.append(Line.ALWAYS)
            documents += [_comment(comment), Line.ALWAYS]
        if around.above and around.blank_before:
            documents.append(Line.ALWAYS)
        return tuple(documents)

    def _is_set_off(self, token: Token) -> bool:
        """Tell whether an empty line stands above a word and its comments."""
        around = self._words.around(token)
        return around.above[0].blank_before if around.above else around.blank_before

    def _item(self, part: Part) -> tuple[Document, Document]:
        """Set one of several things; give what stands behind it apart, so that a comma can come first."""
        last = last_word(part)
        self._held.add(last.start_pos)
        return (self._above(first_word(part)), self.part(part)), self._behind(last, breaks=True)

    def _lines(self, parts: Sequence[Part]) -> list[Document]:
        """Set things one under the other, without commas; an empty line between two is kept."""
        documents: list[Document] = []
        for number, part in enumerate(parts):
            if number:
                documents.append(Line.ALWAYS)
            if number and (self._is_set_off(first_word(part)) or _is_graph(part)):
                documents.append(Line.ALWAYS)
            documents += self._item(part)
        return documents

    # ---- what stands in brackets ----

    def _block(self, tree: Tree[Token], *, always: bool) -> Document:
        opening = next(number for number, child in enumerate(tree.children) if _is(child, "LBRACE"))
        header = self._spaced(tree.children[:opening], colon_behind_name=False)
        items = [child for child in tree.children[opening + 1 : -1] if not _is(child, "COMMA")]
        apart = always or any(self._is_apart(one, other) for one, other in pairwise([tree.children[opening], *items]))
        braces = self._brackets(tree.children[opening], items, tree.children[-1], Either("", ","), Line.BLANK, apart)
        return (header, " " if opening else "", braces)

    def _list(self, children: Sequence[Part], edge: Line) -> Document:
        opening, *between, closing = children
        items = [child for child in between if not _is(child, "COMMA")]
        apart = bool(items) and self._is_apart(opening, items[0])
        return self._brackets(opening, items, closing, ",", edge, apart)

    def _brackets(
        self,
        opening: Part,
        items: Sequence[Part],
        closing: Part,
        comma: Document,
        edge: Line,
        apart: bool,  # noqa: FBT001 - one of many things to know
    ) -> Document:
        """Set things between brackets: on one line, or each on its own."""
        start, end = first_word(opening), last_word(closing)
        last_comments = self._words.around(end).above
        if not items and not last_comments and not self._words.around(start).behind:
            return (self._word(start), self._word(end))
        documents: list[Document] = []
        for number, item in enumerate(items):
            if number and self._is_set_off(first_word(item)):
                documents.append(Line.ALWAYS)
            content, behind = self._item(item)
            is_last = number == len(items) - 1
            documents += [edge if not number else Line.BLANK, content, "" if is_last else comma, behind]
        for comment in last_comments:
            gap = (Line.ALWAYS,) if comment.blank_before and documents else ()
            documents += [*gap, Line.ALWAYS, _comment(comment)]
        closed = edge if documents else Line.ALWAYS
        opened = (str(start), self._behind(start, breaks=True))
        return group((opened, Indented(tuple(documents)), closed, self._word(end)), broken=apart)

    def _is_apart(self, one: Part, other: Part) -> bool:
        return self._words.is_apart(last_word(one), first_word(other))

    # ---- what has its own form ----

    def _spaced(self, parts: Sequence[Part], colon_behind_name: bool) -> Document:  # noqa: FBT001 - see its callers
        documents: list[Document] = []
        for number, part in enumerate(parts):
            touches = colon_behind_name and _is(part, "COLON")
            documents += ["" if not number or touches else " ", self.part(part)]
        return tuple(documents)

    def _object(self, tree: Tree[Token]) -> Document:
        return self._list(tree.children, Line.BLANK)

    def _array(self, tree: Tree[Token]) -> Document:
        return self._list(tree.children, Line.NOTHING)

    def _call(self, tree: Tree[Token]) -> Document:
        return (self.part(tree.children[0]), self._list(tree.children[1:], Line.NOTHING))

    def _variables(self, tree: Tree[Token]) -> Document:
        return self._list(tree.children, Line.NOTHING) if len(tree.children) > 1 else self.part(tree.children[0])

    def _choice(self, tree: Tree[Token]) -> Document:
        value, arrow, *targets = tree.children
        written = self._list(targets, Line.NOTHING) if _is(targets[0], "LSQB") else self.part(targets[0])
        return (self.part(value), " ", self.part(arrow), " ", written)

    def _lambda(self, tree: Tree[Token]) -> Document:
        *parameters, arrow, body = tree.children
        if len(parameters) > 1:
            return (self._list(parameters, Line.NOTHING), " ", self.part(arrow), " ", self.part(body))
        return self._spaced(tree.children, colon_behind_name=False)

    def _binary(self, tree: Tree[Token]) -> Document:
        first, rest = _chain(tree)
        tail = tuple((Line.BLANK, self.part(operator), " ", self.part(operand)) for operator, operand in rest)
        return group((self.part(first), Indented(tail)))

    def _conditional(self, tree: Tree[Token]) -> Document:
        test, question, then, colon, otherwise = map(self.part, tree.children)
        return group((test, Indented((Line.BLANK, question, " ", then, Line.BLANK, colon, " ", otherwise))))


_SPECIAL: dict[str, Callable[[Constructs, Tree[Token]], Document]] = {
    "object": Constructs._object,  # noqa: SLF001 - the table of the class above
    "array": Constructs._array,  # noqa: SLF001 - see above
    "call": Constructs._call,  # noqa: SLF001 - see above
    "variables": Constructs._variables,  # noqa: SLF001 - see above
    "choice": Constructs._choice,  # noqa: SLF001 - see above
    "other_choice": Constructs._choice,  # noqa: SLF001 - see above
    "lambda_expression": Constructs._lambda,  # noqa: SLF001 - see above
    "binary": Constructs._binary,  # noqa: SLF001 - see above
    "conditional": Constructs._conditional,  # noqa: SLF001 - see above
}


def _chain(tree: Tree[Token]) -> tuple[Part, list[tuple[Part, Part]]]:
    """Take a chain of one operator apart: `a && b && c` breaks at each of them or at none."""
    rest: list[tuple[Part, Part]] = []
    part: Part = tree
    operator = tree.children[1]
    while isinstance(part, Tree) and part.data == "binary" and _same(part.children[1], operator):
        left, sign, right = part.children
        rest.append((sign, right))
        part = left
    return part, rest[::-1]


def _same(one: Part, other: Part) -> bool:
    return isinstance(one, Token) and isinstance(other, Token) and one.type == other.type


def _is(part: Part, terminal: str) -> bool:
    return isinstance(part, Token) and part.type == terminal


def _is_graph(part: Part) -> bool:
    return isinstance(part, Tree) and part.data == "graph"


def _behind(comment: Comment, *, breaks: bool) -> Document:
    return AtLineEnd(comment.text, breaks) if comment.to_line_end else f" {comment.text}"


def _comment(comment: Comment) -> Document:
    """Set a comment on lines of its own; the stars of a block comment stand under each other."""
    lines = comment.text.split("\n")
    if not all(line.lstrip().startswith("*") for line in lines[1:]):
        return comment.text
    return joined([lines[0].rstrip(), *(f" {line.strip()}" for line in lines[1:])], Line.ALWAYS)
