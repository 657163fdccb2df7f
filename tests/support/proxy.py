"""A TCP proxy whose links can be cut, slowed down or left half open, in both directions or in one."""

import asyncio
from collections import deque

_CHUNK = 65_536

Target = tuple[str, int]


class Way:
    """One direction of every link: what happens to the bytes that go there."""

    def __init__(self) -> None:
        self.swallowing = False
        """Bytes vanish, and nobody is told."""
        self.delay = 0.0
        """Seconds that each chunk waits."""
        self.swallowed = self.delayed = 0
        """Bytes that vanished, chunks that waited: what the faults did."""


class Proxy:
    """Forwards connections.

    Args:
        targets: host and port of each place to connect to. Connections are spread over them in turn; one that does not
            answer is passed over.
    """

    def __init__(self, *targets: Target) -> None:
        self._targets = deque(targets)
        self._server: asyncio.Server | None = None
        self._links: set[Link] = set()
        self._connections: set[asyncio.Task[None]] = set()
        self.up, self.down = Way(), Way()
        """From who connects to the target, and back."""
        self.refusing = False
        """New connections are closed at once."""
        self.accepted = self.severed = 0
        """Connections taken, and connections cut."""

    @property
    def address(self) -> str:
        """Where it listens, as `host:port`."""
        assert self._server is not None
        host, port = self._server.sockets[0].getsockname()[:2]
        return f"{host}:{port}"

    async def start(self) -> None:
        """Listen on any free port of the loopback interface."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)

    async def stop(self) -> None:
        """Stop listening and cut every connection."""
        self.sever()
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def swallow(self, *, swallowing: bool = True) -> None:
        """Let the bytes of both directions vanish, or no longer."""
        self.up.swallowing = self.down.swallowing = swallowing

    def slow_down(self, seconds: float) -> None:
        """Let each chunk of both directions wait."""
        self.up.delay = self.down.delay = seconds

    @property
    def swallowed(self) -> int:
        """Bytes that vanished."""
        return self.up.swallowed + self.down.swallowed

    @property
    def delayed(self) -> int:
        """Chunks that waited."""
        return self.up.delayed + self.down.delayed

    def sever(self) -> None:
        """Cut every connection at once, on both sides."""
        self.severed += len(self._links)
        for link in list(self._links):
            link.abort()

    def sever_damaged(self) -> None:
        """Cut the connections that lost bytes: they can never go on."""
        for link in list(self._links):
            if link.damaged:
                link.abort()

    def close_way(self, way: Way) -> None:
        """End one direction of every connection in good order, and swallow what would still go there."""
        for link in list(self._links):
            link.close_way(way)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        if (task := asyncio.current_task()) is not None:
            self._connections.add(task)
            task.add_done_callback(self._connections.discard)
        far = None if self.refusing else await self._connect()
        if far is None:
            writer.transport.abort()
            return
        far_reader, far_writer = far
        link = Link(self, writer, far_writer)
        self._links.add(link)
        try:
            await asyncio.gather(link.pump(reader, far_writer, self.up), link.pump(far_reader, writer, self.down))
        finally:
            self._links.discard(link)
            link.abort()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        for _ in range(len(self._targets)):
            target = self._targets[0]
            self._targets.rotate(-1)
            try:
                return await asyncio.open_connection(*target)
            except OSError:
                continue
        return None


class Link:
    """One connection, both sides of it."""

    def __init__(self, proxy: Proxy, near: asyncio.StreamWriter, far: asyncio.StreamWriter) -> None:
        self._proxy = proxy
        self._near, self._far = near, far
        self._closed: set[Way] = set()
        self.damaged = False

    def abort(self) -> None:
        """Close both sides at once, whatever is still to be sent."""
        for side in (self._near, self._far):
            side.transport.abort()

    def close_way(self, way: Way) -> None:
        """End one direction."""
        self._closed.add(way)
        (self._far if way is self._proxy.up else self._near).write_eof()

    async def pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: Way) -> None:
        """Forward one direction until it ends; an end of one side ends both."""
        try:
            while chunk := await reader.read(_CHUNK):
                if way.delay:
                    way.delayed += 1
                    await asyncio.sleep(way.delay)
                if way.swallowing or way in self._closed:
                    way.swallowed += len(chunk)
                    self.damaged = True
                    continue
                writer.write(chunk)
                await writer.drain()
        except OSError:
            pass
        finally:
            self.abort()
