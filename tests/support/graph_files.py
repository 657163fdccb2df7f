"""Graph files that are held in memory."""

import posixpath
from collections.abc import Mapping

from bloge_orchestrator.graph_files import GraphFile, GraphFileError, with_suffix


class FilesInMemory:
    """Imports from texts by name, such as `lib.bloge` or `shared/lib.bloge`."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._texts = texts
        self.read_names: list[str] = []

    def read(self, path: str, importer: str) -> GraphFile:
        """Read a text."""
        name = posixpath.normpath(posixpath.join(posixpath.dirname(importer), with_suffix(path)))
        self.read_names.append(name)
        if name not in self._texts:
            raise GraphFileError(f"{name} cannot be read: no such file")
        return GraphFile(name, self._texts[name])
