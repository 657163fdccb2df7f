"""The envelope a worker receives."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from bloge_orchestrator import ExecutionContext, RemoteWorkerOperator, RetryPolicy
from bloge_orchestrator.graph import BackoffStrategy
from bloge_orchestrator.remote import EnvelopeError

OPERATOR = RemoteWorkerOperator(
    "VisionModel", "vision", RetryPolicy(2, timedelta(milliseconds=500), BackoffStrategy.EXPONENTIAL)
)
CONTEXT = ExecutionContext("label_batch", "e-1", "infer", "label_batch", "3", "t1", "default", "b-9")
CREATED_AT = datetime(2030, 1, 2, 3, 4, 5, 678_901, tzinfo=UTC)


def test_the_envelope_byte_by_byte() -> None:
    """Keys in the order of the contract, durations and instants in ISO 8601, no blanks, UTF-8."""
    assert OPERATOR.envelope({"items": [1, "é"]}, CONTEXT, CREATED_AT).decode() == (
        '{"operatorRef":"VisionModel","workerTopic":"vision","input":{"items":[1,"é"]},'
        '"retryPolicy":{"retryAttempts":2,"backoff":"PT0.5S","strategy":"EXPONENTIAL"},'
        '"executionContext":{"graphName":"label_batch","executionId":"e-1","nodeId":"infer",'
        '"definitionKey":"label_batch","versionId":"3","tenantId":"t1","namespace":"default","businessKey":"b-9"},'
        '"createdAt":"2030-01-02T03:04:05.678Z"}'
    )


def test_the_creation_time_is_written_in_utc() -> None:
    """Whatever the zone of the clock."""
    elsewhere = CREATED_AT.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert OPERATOR.envelope({}, CONTEXT, elsewhere) == OPERATOR.envelope({}, CONTEXT, CREATED_AT)


def test_a_creation_time_without_a_zone_is_refused() -> None:
    """It would mean another instant on another machine."""
    with pytest.raises(EnvelopeError, match="has no time zone"):
        OPERATOR.envelope({}, CONTEXT, CREATED_AT.replace(tzinfo=None))


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), object(), {1, 2}, "\ud800"])
def test_an_input_that_is_no_json_is_refused(wrong: Any) -> None:
    """With the node's name, not with an error of the encoder."""
    with pytest.raises(EnvelopeError, match="input of infer is not plain JSON"):
        OPERATOR.envelope({"x": wrong}, CONTEXT, CREATED_AT)
