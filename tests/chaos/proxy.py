"""A TCP proxy whose links can be cut, slowed down or left half open."""

import asyncio

_CHUNK = 65_536


class Proxy:
    """Forwards connections to one target.

    Args:
        target: host and port to connect to.
    """

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._server: asyncio.Server | None = None
        self._links: set[Link] = set()
        self.refusing = False
        """New connections are closed at once."""
        self.swallowing = False
        """Bytes of both directions vanish, and nobody is told."""
        self.delay = 0.0
        """Seconds that each chunk waits."""
        self.severed = self.swallowed = self.delayed = 0
        """Connections cut, bytes that vanished, chunks that waited: what the faults did."""

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

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refusing:
            writer.transport.abort()
            return
        try:
            far_reader, far_writer = await asyncio.open_connection(*self._target)
        except OSError:
            writer.transport.abort()
            return
        link = Link(self, writer, far_writer)
        self._links.add(link)
        try:
            await asyncio.gather(link.pump(reader, far_writer), link.pump(far_reader, writer))
        finally:
            self._links.discard(link)
            link.abort()


class Link:
    """One connection, both sides of it."""

    def __init__(self, proxy: Proxy, near: asyncio.StreamWriter, far: asyncio.StreamWriter) -> None:
        self._proxy = proxy
        self._sides = (near, far)
        self.damaged = False

    def abort(self) -> None:
        """Close both sides at once, whatever is still to be sent."""
        for side in self._sides:
            side.transport.abort()

    async def pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Forward one direction until it ends; an end of one side ends both."""
        proxy = self._proxy
        try:
            while chunk := await reader.read(_CHUNK):
                if proxy.delay:
                    proxy.delayed += 1
                    await asyncio.sleep(proxy.delay)
                if proxy.swallowing:
                    proxy.swallowed += len(chunk)
                    self.damaged = True
                    continue
                writer.write(chunk)
                await writer.drain()
        except OSError:
            pass
        finally:
            self.abort()
