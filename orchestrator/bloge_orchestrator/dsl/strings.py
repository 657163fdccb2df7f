"""String literals: from the text between the quotes to its value and its `${}` parts."""

import re
from dataclasses import dataclass

_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", '"': '"', "\\": "\\", "/": "/", "$": "$"}
_PIECE = re.compile(
    r"""(?P<text>[^\\$]+|\$(?!\{))
      | (?P<pair>\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})
      | (?P<unicode>\\u(?![dD][89a-fA-F])[0-9a-fA-F]{4})
      | (?P<escape>\\.)
      | (?P<hole>\$\{)""",
    re.VERBOSE,
)
_IN_HOLE = re.compile(r"""[^{}"]+|"(?:[^"\\]|\\.)*+"|(?P<open>\{)|(?P<close>\})""")


class StringLiteralError(ValueError):
    """An escape is unknown. `offset` counts from the first character behind the opening quote."""

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message)
        self.offset = offset


@dataclass(frozen=True, slots=True)
class Hole:
    """The inside of `${...}`: where its expression starts and ends, from the first character behind the quote."""

    start: int
    end: int


def read_string(body: str) -> list[str | Hole]:
    """Split the inside of a quoted string into texts, with their escapes replaced, and holes; texts never touch.

    Raises:
        StringLiteralError: If an escape is unknown.

    """
    pieces: list[str | Hole] = []
    position = 0
    while match := _PIECE.match(body, position):
        piece = _hole(body, match.end()) if match.lastgroup == "hole" else _text(match)
        position = piece.end + 1 if isinstance(piece, Hole) else match.end()
        if isinstance(piece, str) and pieces and isinstance(pieces[-1], str):
            pieces[-1] += piece
        else:
            pieces.append(piece)
    return pieces


def _hole(body: str, start: int) -> Hole:
    """Find the brace that closes a hole; the grammar has seen to it that there is one."""
    depth = 1
    for match in _IN_HOLE.finditer(body, start):
        depth += (match["open"] is not None) - (match["close"] is not None)
        if depth == 0:
            return Hole(start, match.start())
    raise AssertionError(body)


def _text(match: re.Match[str]) -> str:
    match match.lastgroup:
        case "text":
            return match["text"]
        case "pair" | "unicode":
            return match[0].encode("ascii").decode("unicode_escape").encode("utf-16", "surrogatepass").decode("utf-16")
        case _:
            return _escape(match)


def _escape(match: re.Match[str]) -> str:
    escaped = match["escape"][1]
    if escaped in _ESCAPES:
        return _ESCAPES[escaped]
    if escaped == "u":
        raise StringLiteralError(r"`\u` needs four hexadecimal digits that name a character", match.start())
    raise StringLiteralError(
        rf"`\{escaped}` is not an escape; the escapes are \n \t \r \b \f \" \\ \/ \$ and \uXXXX", match.start()
    )
