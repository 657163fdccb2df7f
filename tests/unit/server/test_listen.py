"""Where a server may listen without knowing identities."""

import grpc
import pytest

from bloge_server.errors import StartupError
from bloge_server.rpc.server import listen


async def opened(address: str, *, insecure: bool = False) -> str:
    """Return the address that a server got."""
    server = grpc.aio.server()
    try:
        return listen(server, address, insecure=insecure)
    finally:
        await server.stop(None)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.0.9", "localhost"])
async def test_loopback_is_allowed(host: str) -> None:
    """And any free port is told."""
    address = await opened(f"{host}:0")
    assert address.startswith(f"{host}:")
    assert not address.endswith(":0")


async def test_a_unix_socket_is_allowed(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The file system guards it."""
    address = f"unix:{tmp_path_factory.mktemp('s')}/s"
    assert await opened(address) == address


@pytest.mark.parametrize("host", ["0.0.0.0", "[::]", "", "192.0.2.1", "example.com", "127.0.0.1.example.com"])
async def test_any_other_address_needs_a_loud_word(host: str) -> None:
    """The refusal says what could happen and how to go on."""
    with pytest.raises(StartupError, match="--insecure"):
        await opened(f"{host}:0")


async def test_the_loud_word_opens_it() -> None:
    """Somebody else guards the network then."""
    assert (await opened("0.0.0.0:0", insecure=True)).startswith("0.0.0.0:")


async def test_a_taken_port_is_told() -> None:
    """A second server on the same port never starts silently beside the first."""
    server = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
    port = server.add_insecure_port("127.0.0.1:0")
    second = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
    try:
        with pytest.raises(StartupError, match="is the port taken"):
            listen(second, f"127.0.0.1:{port}", insecure=False)
    finally:
        await server.stop(None)
        await second.stop(None)
