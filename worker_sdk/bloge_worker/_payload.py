"""Decodes what came with an item and encodes what goes back."""

import dataclasses
import datetime as dt
import decimal
import enum
import json
import uuid
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple


class Payload(NamedTuple):
    """A payload as a handler sees it."""

    input: Any
    operator_ref: str = ""
    execution_context: Mapping[str, Any] = MappingProxyType({})


def decode_payload(payload: bytes, *, raw: bool) -> Payload:
    """Return what a payload holds.

    The orchestrator's JSON envelope gives its `input`; other JSON is the input itself, and so are the bytes of a
    payload that is not JSON. An empty payload is None.

    Args:
        payload: as it was enqueued.
        raw: True: the payload's bytes are the input, whatever they are.
    """
    if raw:
        return Payload(payload)
    if not payload:
        return Payload(None)
    try:
        value = _decode(payload)
    except (ValueError, RecursionError):
        return Payload(payload)
    if not isinstance(value, dict) or not ("input" in value and "operatorRef" in value and "workerTopic" in value):
        return Payload(value)
    operator, context = value["operatorRef"], value.get("executionContext")
    return Payload(
        value["input"], operator if isinstance(operator, str) else "", context if isinstance(context, dict) else {}
    )


def encode_json(value: object) -> bytes:
    """Return a value as compact JSON.

    Dataclass and pydantic instances count as objects; instants, dates, UUIDs and decimals as their texts; members of
    enumerations as their values.

    Raises:
        TypeError: the value, or something in it, has no JSON form.
        ValueError: it holds NaN, an infinity, a cycle or a lone surrogate.
        RecursionError: it is nested too deeply.
    """
    return _encoder.encode(value).encode()


def decoded_json(data: bytes) -> Any:  # noqa: ANN401 - any JSON value
    """Return what JSON holds, the bytes themselves if they are not JSON, None if there are none."""
    try:
        return json.loads(data) if data else None
    except ValueError:
        return data


def envelope(worker_topic: str, operator_ref: str, value: object, execution_context: Mapping[str, Any]) -> bytes:
    """Return the payload that an orchestrator writes for a node's input.

    Raises:
        As `encode_json`.
    """
    return encode_json(
        {
            "operatorRef": operator_ref,
            "workerTopic": worker_topic,
            "input": value,
            "executionContext": execution_context,
        }
    )


def _decode(data: bytes) -> Any:  # noqa: ANN401 - any JSON value
    """Like `json.loads`, at half its cost for what orchestrators send: UTF-8 without blanks around it."""
    text = str(data, "utf-8")
    if text[0] in "{[":
        value, end = _decoder.raw_decode(text)
        if end == len(text):
            return value
    return json.loads(text)


def _as_json_type(value: object) -> object:
    if isinstance(value, dt.date):  # a datetime is one
        return value.isoformat()
    if isinstance(value, uuid.UUID | decimal.Decimal):
        return str(value)
    if isinstance(value, enum.Enum):
        return value.value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    dump = getattr(value, "model_dump", None)
    if callable(dump) and not isinstance(value, type):
        return dump(mode="json")
    raise TypeError(f"{type(value).__name__} is not JSON-able")


_decoder = json.JSONDecoder()
# Made once: `json.dumps` with options makes a new one at each call.
_encoder = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_as_json_type)
