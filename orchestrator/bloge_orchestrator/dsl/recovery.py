"""Reads what can be read of a text that does not parse as a whole, and finds what is wrong with each of its parts."""

from collections.abc import Iterator
from dataclasses import replace

from bloge_orchestrator.diagnostics import Diagnostic
from bloge_orchestrator.dsl.outline import MEMBER_RULES, Chunk, Outline, first_word, outline, parts
from bloge_orchestrator.dsl.reader import Reader
from bloge_orchestrator.dsl.refused import REFUSED, refusal
from bloge_orchestrator.dsl.source import parse_error
from bloge_orchestrator.dsl.tree import (
    ForeachDeclaration,
    GraphDeclaration,
    ImportDeclaration,
    MemberDeclaration,
    PortsDeclaration,
    SchemaDeclaration,
    Setting,
)
from bloge_orchestrator.suggestions import did_you_mean

_HEAD_BRACES_MAX = 8
"""How many braces of a foreach are tried as the one that opens its body: those before belong to its list."""

_NESTING_MAX = 8
"""How deep a foreach in a foreach is taken apart."""

_NOT_INSIDE = ("schema", "ports")
"""The rules of members that belong to the graph itself."""

_Part = MemberDeclaration | tuple[Setting, ...]


def recover(reader: Reader) -> GraphDeclaration | None:
    """Read a broken file part by part; `complete` is False in what is given."""
    return _Recovery(reader).graph()


class _Recovery:
    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._bare = reader.bare

    def graph(self) -> GraphDeclaration | None:
        imports, start = self._imports()
        found = outline(self._bare, start)
        if found is None:
            self._refuse_root(start)
            return None
        members = tuple(part for part in self._parts(found.chunks, "graph", 0) if not isinstance(part, tuple))
        self._check_end(found)
        place = self._reader.source.place(found.name_offset)
        return GraphDeclaration(found.name, members, place, complete=False, imports=imports)

    def _imports(self) -> tuple[tuple[ImportDeclaration, ...], int]:
        """Read the imports above the graph, a line each; give the offset behind them."""
        start = 0
        imports: list[ImportDeclaration] = []
        while True:
            word, offset = first_word(self._bare, start)
            if word != "import":
                return tuple(imports), start
            newline = self._bare.find("\n", offset)
            start = newline if newline >= 0 else len(self._bare)
            read = self._reader.read("import_graph", offset, start, "the import")
            if isinstance(read, ImportDeclaration):
                imports.append(read)
            elif isinstance(read, Diagnostic):
                self._add(read)

    def _refuse_root(self, start: int) -> None:
        word, offset = first_word(self._bare, start)
        place = self._reader.source.place(offset)
        if word in REFUSED:
            self._add(refusal(word, place))
        elif word != "graph":
            found = f"found `{word[:40]}`" if word else "found nothing"
            self._add(parse_error("missing-graph", f"a file holds one `graph name {{ ... }}`; {found}", place))

    def _parts(self, chunks: tuple[Chunk, ...], block: str, depth: int) -> Iterator[_Part]:
        for chunk in chunks:
            part = self._part(chunk, block, depth)
            if isinstance(part, Diagnostic):
                self._add(part)
            else:
                yield part

    def _part(self, chunk: Chunk, block: str, depth: int) -> _Part | Diagnostic:
        place = self._reader.source.place(chunk.start)
        if chunk.keyword in REFUSED:
            return refusal(chunk.keyword, place)
        rule = MEMBER_RULES.get(chunk.keyword)
        if block == "foreach" and rule in _NOT_INSIDE:
            return parse_error("unknown-member", f"`{chunk.keyword}` cannot stand inside a foreach", place)
        if rule == "foreach":
            return self._foreach(chunk, depth)
        if rule is not None:
            return self._member(rule, chunk)
        if block == "foreach" and "=" in self._bare[chunk.start : chunk.end]:
            settings = self._reader.read("settings", chunk.start, chunk.end, "the foreach")
            assert isinstance(settings, tuple | Diagnostic)
            return settings
        found = chunk.keyword[:40] or self._bare[chunk.start]
        message = f"`{found}` is not a member of a {block}{did_you_mean(chunk.keyword, MEMBER_RULES)}"
        return parse_error("unknown-member", message, place)

    def _member(self, rule: str, chunk: Chunk) -> MemberDeclaration | Diagnostic:
        name, _ = first_word(self._bare, chunk.start + len(chunk.keyword))
        inside = "the branch" if rule == "branch" else f"{chunk.keyword} {name[:40]}".rstrip()
        member = self._reader.read(rule, chunk.start, chunk.end, inside)
        assert isinstance(member, MemberDeclaration | Diagnostic)
        return member

    def _foreach(self, chunk: Chunk, depth: int) -> MemberDeclaration | Diagnostic:
        """Read a foreach; if that fails, what is inside part by part."""
        whole = self._member("foreach", chunk)
        if not isinstance(whole, Diagnostic) or depth >= _NESTING_MAX:
            return whole
        head = self._foreach_head(chunk)
        if head is None:
            return whole
        declaration, start = head
        found_before = len(self._reader.problems)
        chunks = tuple(part for part in parts(self._bare, start, chunk.end) if part.keyword != "}")
        inside = list(self._parts(chunks, "foreach", depth + 1))
        if len(self._reader.problems) == found_before:
            return whole
        settings = tuple(setting for part in inside if isinstance(part, tuple) for setting in part)
        members = tuple(part for part in inside if not isinstance(part, tuple | SchemaDeclaration | PortsDeclaration))
        return replace(declaration, settings=settings, members=members)

    def _foreach_head(self, chunk: Chunk) -> tuple[ForeachDeclaration, int] | None:
        """Find the `{` that opens the body: the first one that a whole head stands before."""
        brace = chunk.start
        for _ in range(_HEAD_BRACES_MAX):
            brace = self._bare.find("{", brace + 1, chunk.end)
            if brace < 0:
                return None
            head = self._reader.read("foreach_head", chunk.start, brace, "the foreach")
            if isinstance(head, ForeachDeclaration):
                return head, brace + 1
        return None

    def _check_end(self, found: Outline) -> None:
        if found.end is None:
            if not found.chunks or found.chunks[-1].closed:
                message = f"graph {found.name} is not closed: a `}}` is missing"
                self._add(parse_error("syntax-error", message, self._reader.source.place(found.name_offset)))
            return
        word, offset = first_word(self._bare, found.end)
        if offset < len(self._bare):
            message = f"unexpected `{word[:40] or self._bare[offset]}` behind the end of graph {found.name}"
            if word == "graph":
                message += "; a file holds one graph"
            self._add(parse_error("syntax-error", message, self._reader.source.place(offset)))

    def _add(self, problem: Diagnostic) -> None:
        self._reader.problems.append(problem)
