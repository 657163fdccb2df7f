"""The worker of the examples: `bloge-worker examples.graphs.worker:worker`. Start as many as you like."""

import re
from typing import Any

from bloge_worker import BusinessError, Reject, Worker

worker = Worker(slots=8)

_GOOD = frozenset(["great", "good", "love", "warm", "quick", "fine", "happy"])
_BAD = frozenset(["broken", "bad", "slow", "rude", "late", "angry"])
_KINDS = {"refund": ("refund", "money", "broken"), "delivery": ("parcel", "delivery", "late", "arrived")}
_URGENT = ("now", "urgent", "immediately")
_RATES = {"EUR": 1.0, "USD": 1.1, "CHF": 0.95}


@worker.handler("text", operator="ScoreText")
def score_text(node_input: dict[str, Any]) -> dict[str, Any]:
    """Count kind words against unkind ones.

    Raises:
        Reject: If there is no word that could be read; another try would see none either.
    """
    words = re.findall("[a-z]+", node_input["text"].lower())
    if not words:
        raise Reject("no word of a language that this worker reads")
    return {"points": sum(word in _GOOD for word in words) - sum(word in _BAD for word in words)}


@worker.handler("text", operator="ClassifyTicket")
def classify_ticket(node_input: dict[str, Any]) -> dict[str, Any]:
    """Say what a ticket is about, and whether it can wait."""
    text = node_input["text"].lower()
    kinds = [kind for kind, words in _KINDS.items() if any(word in text for word in words)]
    return {"kind": kinds[0] if kinds else "other", "urgent": any(word in text for word in _URGENT)}


@worker.handler("rates", operator="ExchangeRate")
def exchange_rate(node_input: dict[str, Any]) -> dict[str, Any]:
    """Give a rate of the day.

    Raises:
        BusinessError: If the bank has none; it will have none the next time either.
    """
    try:
        return {"rate": _RATES[node_input["to"]] / _RATES[node_input["from"]]}
    except KeyError as error:
        raise BusinessError("UNKNOWN_CURRENCY", f"there is no rate for {error.args[0]}") from error


if __name__ == "__main__":
    worker.run_forever()
