"""What a seed decides, and what a history keeps."""

import asyncio
from pathlib import Path
from typing import Any, cast

import pytest

from chaos import history, plan
from chaos.history import Recorder
from chaos.items import MIX, ItemSource
from chaos.plan import Kind
from support.proxy import Link, Proxy


@pytest.mark.parametrize("duration", [10.0, 60.0])
def test_a_seed_decides_the_plan(duration: float) -> None:
    """The same seed gives the same faults, all kinds of them, in order and with free seconds at both ends."""
    faults = plan.make(7, duration)
    assert faults == plan.make(7, duration) != plan.make(8, duration)
    assert {fault.kind for fault in faults} == set(Kind)
    assert [fault.at for fault in faults] == sorted(fault.at for fault in faults)
    assert faults[0].at >= 2.0
    assert faults[-1].at <= duration - 2.0


def test_a_seed_decides_the_items() -> None:
    """The same seed describes the same items, of every kind in the mix."""
    first, second = ItemSource(7), ItemSource(7)
    described = [first.next() for _ in range(3000)]
    assert described == [second.next() for _ in range(3000)]
    assert {spec.operator_ref for spec in described} == {part.script["do"] for part in MIX}


def test_a_killed_process_leaves_what_it_knew(tmp_path: Path) -> None:
    """Answered and unanswered calls of all processes are merged in order; half a line is no harm."""
    first, second = Recorder(tmp_path / "a.jsonl"), Recorder(tmp_path / "b.jsonl")
    first.call("complete", item="i-1")
    number = second.call("claim", worker="b")
    second.answer(number, leases=[])
    first.close()
    second.close()
    with (tmp_path / "a.jsonl").open("a") as file:
        file.write('{"n":1,"op":"com')
    calls = history.merge(tmp_path)
    assert [(each.client, each.op, each.answered) for each in calls] == [("a", "complete", False), ("b", "claim", True)]
    history.write(tmp_path / "all", calls)
    assert history.read(tmp_path / "all") == calls


class Side:
    """One end of a connection, as far as a link knows it."""

    def __init__(self) -> None:
        self.transport = self
        self.written = b""
        self.aborted = False

    def write(self, chunk: bytes) -> None:
        """Take bytes."""
        self.written += chunk

    async def drain(self) -> None:
        """Never waits."""

    def abort(self) -> None:
        """Break off."""
        self.aborted = True


@pytest.mark.parametrize("swallowing", [False, True])
async def test_a_half_open_link_swallows(*, swallowing: bool) -> None:
    """Bytes pass a link, or vanish and damage it; the end of one side ends both."""
    proxy, near, far, reader = Proxy(("127.0.0.1", 1)), Side(), Side(), asyncio.StreamReader()
    proxy.up.swallowing = swallowing
    link: Any = Link(proxy, cast("Any", near), cast("Any", far))
    reader.feed_data(b"bytes")
    reader.feed_eof()
    await link.pump(reader, far, proxy.up)
    assert (far.written, proxy.swallowed) == ((b"", 5) if swallowing else (b"bytes", 0))
    assert link.damaged is swallowing
    assert near.aborted
    assert far.aborted


async def test_a_proxy_forwards_and_cuts() -> None:
    """What is sent through the proxy arrives, until its connections are cut."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.read(100))
        await reader.read()
        writer.close()

    async with await asyncio.start_server(echo, "127.0.0.1", 0) as server:
        proxy = Proxy(("127.0.0.1", server.sockets[0].getsockname()[1]))
        await proxy.start()
        host, port = proxy.address.split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"one")
        assert await reader.read(100) == b"one"
        proxy.sever()
        assert await reader.read(100) == b""
        assert proxy.severed == 1
        writer.close()
        await proxy.stop()
