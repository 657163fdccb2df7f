"""JSON merge patches: https://www.rfc-editor.org/rfc/rfc7396."""

import json
from typing import Any


def patched(payload: bytes, patch: Any) -> bytes:  # noqa: ANN401 - any JSON value
    """Return a payload as a patch makes it, as compact JSON.

    Raises:
        ValueError: the payload is no JSON.
    """
    return json.dumps(_merged(json.loads(payload), patch), separators=(",", ":"), ensure_ascii=False).encode()


def _merged(target: Any, patch: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Follow section 2 of the RFC: members of objects are merged, null removes one, everything else replaces."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = _merged(result.get(name), value)
    return result
