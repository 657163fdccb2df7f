"""Which addresses a server may listen on without knowing identities."""

import ipaddress

from bloge_server.errors import StartupError


def refuse_strangers(flag: str, address: str, *, insecure: bool) -> None:
    """Check that only this machine can reach an address, unless somebody says aloud that others may.

    Args:
        flag: the setting that gave the address, for the message.
        address: `host:port` or `unix:/path`.
        insecure: whether strangers are allowed.

    Raises:
        StartupError: the address would serve strangers without identity.
    """
    if not insecure and not is_local(address):
        raise StartupError(
            f"{flag} {address}: anybody who reaches it could claim and enqueue, and this release knows no identities"
            " yet; listen on 127.0.0.1, [::1] or a unix socket, or say --insecure"
        )


def is_local(address: str) -> bool:
    """Return whether only this machine can reach an address."""
    if address.startswith("unix:"):
        return True
    host = address.rpartition(":")[0].strip("[]")
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def taken(flag: str, address: str) -> StartupError:
    """Return what a server says that cannot open its address."""
    return StartupError(
        f"{flag} {address}: cannot listen there; is the port taken by another server? Choose another one,"
        " or port 0 for any free one"
    )
