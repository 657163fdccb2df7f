"""The grammar, loaded once in a process."""

from functools import cache
from importlib.resources import files

from lark import Lark

START_RULES = (
    "file",
    "import_graph",
    "node",
    "branch",
    "foreach",
    "foreach_head",
    "settings",
    "transformation",
    "schema",
    "ports",
    "type",
    "expression",
)
"""The rules a text can be parsed with: a whole file, one part of it, or one expression."""


@cache
def language(*, keep_all_tokens: bool = False) -> Lark:
    """Build the parser of the grammar; building takes about a quarter of a second.

    Args:
        keep_all_tokens: Whether the tree holds every word of the text, as a formatter needs it.

    """
    grammar = files("bloge_orchestrator.dsl").joinpath("grammar.lark").read_text(encoding="utf-8")
    return Lark(
        grammar,
        parser="lalr",
        lexer="contextual",
        start=list(START_RULES),
        propagate_positions=True,
        maybe_placeholders=not keep_all_tokens,
        keep_all_tokens=keep_all_tokens,
    )


def terminal_pattern(name: str) -> str:
    """Give the regular expression of a terminal, so that the scanner and the parser agree on what a string is."""
    return str(language().get_terminal(name).pattern.to_regexp())
