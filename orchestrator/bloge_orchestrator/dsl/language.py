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
def language() -> Lark:
    """Build the parser of the grammar; building takes about a quarter of a second."""
    grammar = files("bloge_orchestrator.dsl").joinpath("grammar.lark").read_text(encoding="utf-8")
    return Lark(
        grammar,
        parser="lalr",
        lexer="contextual",
        start=list(START_RULES),
        propagate_positions=True,
        maybe_placeholders=True,
    )


def terminal_pattern(name: str) -> str:
    """Give the regular expression of a terminal, so that the scanner and the parser agree on what a string is."""
    return str(language().get_terminal(name).pattern.to_regexp())
