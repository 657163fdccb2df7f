"""Names of namespaces, worker topics, ids and workers."""

import re

DEFAULT_NAMESPACE = "default"
NAME_RULE = "1 to 128 of A-Z, a-z, 0-9, '.', '_', '-'"

_NAME = re.compile(r"[A-Za-z0-9._-]{1,128}")


def is_name(text: str) -> bool:
    """Return whether a text may name a namespace, a topic, an item or a worker."""
    return _NAME.fullmatch(text) is not None
