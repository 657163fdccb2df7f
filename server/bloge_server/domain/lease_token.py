"""The lease token: what a worker shows with every report."""

import secrets
from functools import lru_cache
from typing import NamedTuple

from bloge_server.domain.names import is_name

_NONCE_BYTES = 16


class LeaseToken(NamedTuple):
    """Names one claim of one item, with the secret that proves that it was handed out.

    The text that travels is `namespace/topic/item/fence/nonce`; names hold no `/`. Namespace and topic say where to
    ask; only the store can judge the rest.
    """

    namespace: str
    worker_topic: str
    claim: str
    """`item/fence/nonce`, for the store's scripts."""

    def __str__(self) -> str:
        """Return the opaque text that travels."""
        return "/".join(self)

    @property
    def item_id(self) -> str:
        """The item."""
        return self.claim.partition("/")[0]

    @property
    def fence(self) -> str:
        """The claim's fence, in decimal digits."""
        return self.claim.split("/")[1]

    @property
    def nonce(self) -> str:
        """The secret."""
        return self.claim.rpartition("/")[2]

    @classmethod
    def parse(cls, text: str) -> "LeaseToken | None":
        """Return the token a text stands for; None if it cannot be one."""
        namespace, _, rest = text.partition("/")
        worker_topic, _, claim = rest.partition("/")
        if claim.count("/") != 2 or not _are_names(namespace, worker_topic):  # noqa: PLR2004 - three parts
            return None
        return cls(namespace, worker_topic, claim)


@lru_cache(maxsize=1024)
def _are_names(namespace: str, worker_topic: str) -> bool:
    """Return whether both may be names; the tokens of a topic ask the same again and again."""
    return is_name(namespace) and is_name(worker_topic)


def new_nonce() -> str:
    """Return a secret of 128 random bits; one serves all items of one claim call, because they go to one worker."""
    return secrets.token_urlsafe(_NONCE_BYTES)
