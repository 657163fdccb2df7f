"""Which words of a text stand at the start of a line when what is around them is set on several."""

from collections.abc import Iterator

from lark import Token, Tree

from bloge_orchestrator.formatting.comments import first_word

_BRACKETS = frozenset({"LBRACE", "RBRACE", "LSQB", "RSQB", "LPAR", "RPAR", "CALL", "LAMBDA", "COMMA"})
_CLOSING = frozenset({"RBRACE", "RSQB", "RPAR"})
_SET_BY_LINES = frozenset(
    {"graph", "node", "block", "clause", "branch", "foreach", "transformation", "fields", "when"}
    | {"object", "array", "call", "variables", "choice", "other_choice", "lambda_expression"}
)


def anchors(tree: Tree[Token]) -> frozenset[int]:
    """Give the offsets of the words above which a comment may stand on a line of its own."""
    found = [word.start_pos for part in tree.iter_subtrees() for word in _of(part)]
    return frozenset(start for start in found if start is not None)


def _of(part: Tree[Token]) -> Iterator[Token]:
    if part.data == "file":
        yield from map(first_word, part.children)
    elif part.data in _SET_BY_LINES:
        inside = False
        for child in part.children:
            bracket = child.type if isinstance(child, Token) and child.type in _BRACKETS else None
            if inside and (bracket is None or bracket in _CLOSING):
                yield first_word(child)
            inside = (inside or bracket is not None) and bracket not in _CLOSING
