"""The lease token: what a worker shows with every report."""

import secrets
from typing import NamedTuple

from bloge_server.domain.names import is_name

_PARTS = 5
_NONCE_BYTES = 16


class LeaseToken(NamedTuple):
    """Names one claim of one item, with the secret that proves that it was handed out."""

    namespace: str
    worker_topic: str
    item_id: str
    fence: str
    """Decimal digits; the store compares fences as numbers of up to 16 digits."""
    nonce: str

    def __str__(self) -> str:
        """Return the opaque text that travels. Names hold no '/'."""
        return "/".join(self)

    @classmethod
    def parse(cls, text: str) -> "LeaseToken | None":
        """Return the token a text stands for; None if it is none."""
        parts = text.split("/")
        if len(parts) != _PARTS or not all(map(is_name, parts)):
            return None
        fence = parts[3]
        return cls(*parts) if fence.isascii() and fence.isdigit() else None


def new_nonce() -> str:
    """Return a secret of 128 random bits; one serves all items of one claim call, because they go to one worker."""
    return secrets.token_urlsafe(_NONCE_BYTES)
