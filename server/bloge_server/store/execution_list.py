"""Lists of executions. They follow the records, each of which has a slot of its own, and may lag behind them."""

from collections.abc import Iterable, Sequence
from typing import Any

from bloge_server.domain.execution import ExecutionRecord, ExecutionStatus, Listed, ListPage, ListPlace
from bloge_server.store import keys
from bloge_server.store.calls import Calls

_LOOKS = 1000
"""Most entries that one call looks at."""


class ExecutionList:
    """The listings of all namespaces.

    Args:
        calls: the store.
    """

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def note(self, namespace: str, records: Iterable[ExecutionRecord]) -> None:
        """Note where executions stand; an execution never goes back, so notes may arrive in any order."""
        args: list[str | int] = []
        for each in records:
            args.extend((each.execution_id, each.start_ms, each.status, each.facts.graph_name))
        if args:
            await self._script("note_execution", namespace, args)

    async def forget(self, namespace: str, executions: Iterable[tuple[str, int]]) -> None:
        """Take executions, given as id and start time in ms, out of the list."""
        args = [part for execution in executions for part in execution]
        if args:
            await self._script("forget_execution", namespace, args)

    async def entry(self, namespace: str, record: ExecutionRecord) -> ExecutionStatus | None:
        """Return where the list has an execution; None if it does not have it."""
        key = keys.listed_day(namespace, record.start_ms)
        found: bytes | None = await self._calls.command("HGET", key, record.execution_id)
        return ExecutionStatus(found.decode().partition(" ")[0]) if found else None

    async def page(
        self, namespace: str, place: ListPlace, limit: int, status: ExecutionStatus | None, graph_name: str
    ) -> ListPage:
        """Return executions after a place, latest first; a page may be short, or even empty, before the last one.

        Args:
            namespace: of the executions.
            place: after which to begin.
            limit: most executions.
            status: the only one that is wanted; None for any.
            graph_name: the only one that is wanted; empty for any.
        """
        args = (place.start_ms, place.execution_id, status or "", graph_name, limit, _LOOKS)
        more, start_ms, execution_id, *found = await self._script("list_executions", namespace, args)
        entries = [Listed(each.decode(), int(at), ExecutionStatus(stands.decode())) for each, at, stands in found]
        return ListPage(entries, ListPlace(int(start_ms), execution_id.decode()), bool(more))

    async def _script(self, name: str, namespace: str, args: Sequence[str | int]) -> Any:  # noqa: ANN401 - each script has its own reply
        return await self._calls.script(name, keys.listing_keys(namespace), args)
