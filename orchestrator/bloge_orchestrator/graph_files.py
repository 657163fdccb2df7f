"""Where the graphs come from that another one imports."""

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol

SUFFIX = ".bloge"
"""What the name of a graph's file ends with; an import may leave it out."""


class GraphFileError(Exception):
    """A file that is imported cannot be read; the message says why."""


@dataclass(frozen=True, slots=True)
class GraphFile:
    """An imported file. Its name identifies it, and is what messages show."""

    name: str
    text: str


class GraphFiles(Protocol):
    """Reads imported files."""

    def read(self, path: str, importer: str) -> GraphFile:
        """Read a file.

        Args:
            path: What the import says, such as `./lib`.
            importer: Name of the file that imports it.

        Raises:
            GraphFileError: If it cannot be read.

        """


class FilesOnDisk:
    """Reads imports beside the file that imports them."""

    def read(self, path: str, importer: str) -> GraphFile:
        """Read a file of UTF-8 text."""
        place = Path(importer).parent / with_suffix(path)
        try:
            return GraphFile(_shown(place), place.read_bytes().decode("utf-8-sig"))
        except OSError as error:
            raise GraphFileError(f"{_shown(place)} cannot be read: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise GraphFileError(f"{_shown(place)} is not UTF-8 text: byte {error.start} does not fit") from error


class NoFiles:
    """Refuses every import: the text is not a file, so nothing is beside it."""

    def read(self, path: str, importer: str) -> GraphFile:  # noqa: ARG002 - the protocol's own signature
        """Refuse an import."""
        raise GraphFileError(f"{path} cannot be looked up here: compile a file, or say where imports come from")


def with_suffix(path: str) -> str:
    """Give the path of an import with the suffix that it may leave out."""
    return path if PurePosixPath(path).suffix == SUFFIX else f"{path}{SUFFIX}"


def _shown(place: Path) -> str:
    """Give one name for one file, however its path is written: `a/../b` is `b`."""
    resolved, here = place.resolve(), Path.cwd()
    return str(resolved.relative_to(here)) if resolved.is_relative_to(here) else str(resolved)
