"""The error vocabulary on its way through gRPC: what one end says, the other end hears."""

from collections import Counter
from importlib.resources import files
from typing import Any

import grpc
import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, QuotaFailure, RetryInfo
from google.rpc.status_pb2 import Status

from bloge.remote_workers.errors import DOMAIN, FieldViolation, Reason, RemoteWorkersError
from bloge.remote_workers.status import CODES, DETAILS_KEY, from_rpc_error, from_status, to_status
from bloge.remote_workers.v1 import error_reason_pb2


class FailedCall(grpc.RpcError):
    """A failed call as gRPC's clients raise it."""

    def __init__(self, code: grpc.StatusCode, details: str | None = None, trailing: Any = None) -> None:
        super().__init__()
        self._facts = code, details, trailing

    def code(self) -> grpc.StatusCode:
        """Return the status code."""
        return self._facts[0]

    def details(self) -> str | None:
        """Return the message."""
        return self._facts[1]

    def trailing_metadata(self) -> Any:
        """Return the trailer."""
        return self._facts[2]


def told(error: RemoteWorkersError) -> tuple[object, ...]:
    """Return everything that an error tells."""
    return error.reason, error.message, dict(error.metadata), list(error.fields), error.retry_delay_seconds


def details(error: RemoteWorkersError) -> list[str]:
    """Return the kinds of the details of an error's status."""
    return [detail.type_url.rpartition(".")[2] for detail in to_status(error).details]


def test_every_reason_of_the_proto_is_a_reason_here() -> None:
    """And the other way round."""
    names = {value.name.removeprefix("ERROR_REASON_") for value in error_reason_pb2.ErrorReason.DESCRIPTOR.values}
    assert {reason.value for reason in Reason} == names - {"UNSPECIFIED"}
    assert all(reason.name == reason.value for reason in Reason)


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_a_code_and_a_number(reason: Reason) -> None:
    """The number leads back to the reason."""
    assert CODES[reason] is not grpc.StatusCode.OK
    assert Reason.from_number(reason.number) is reason


def test_the_proto_says_each_reasons_code() -> None:
    """The code that the comment of a reason ends with is the one that its calls get."""
    text = (files("bloge.remote_workers.v1") / "error_reason.proto").read_text()
    documented, comment = dict[str, str](), ""
    for line in map(str.strip, text.splitlines()):
        if line.startswith("//"):
            comment += " " + line.removeprefix("//").strip()
        elif line.startswith("ERROR_REASON_"):
            documented[line.split(" ")[0].removeprefix("ERROR_REASON_")] = comment.rstrip(".").rpartition(" ")[2]
            comment = ""
        else:
            comment = ""
    documented.pop("UNSPECIFIED")
    assert documented == {reason.value: code.name for reason, code in CODES.items()}


def test_unknown_numbers_are_defects_and_zero_is_none() -> None:
    """A server of a later release may refuse for reasons that this end does not know."""
    assert Reason.from_number(0) is None
    assert Reason.from_number(9999) is Reason.INTERNAL


@pytest.mark.parametrize("reason", Reason)
def test_what_one_end_says_the_other_end_hears(reason: Reason) -> None:
    """Reason, message, facts, fields and retry delay survive, whatever the reason."""
    error = RemoteWorkersError(
        reason,
        "grün und \n zwei Zeilen",
        metadata={"limit_bytes": "5"},
        fields=(FieldViolation("items[0].priority", "must be 0 to 99"),),
        retry_delay_seconds=1.25,
    )
    status = to_status(error)
    assert told(from_status(status)) == told(error)
    call = FailedCall(CODES[reason], error.message, ((DETAILS_KEY, status.SerializeToString()),))
    assert told(from_rpc_error(call)) == told(error)


def test_the_first_detail_is_the_error_info() -> None:
    """With our domain."""
    info = ErrorInfo()
    assert to_status(RemoteWorkersError(Reason.NOT_FOUND, "m")).details[0].Unpack(info)
    assert (info.reason, info.domain) == ("NOT_FOUND", DOMAIN)


def test_standard_details_come_where_they_belong() -> None:
    """Fields, quota and retry each have their standard detail, and only where there is something to say."""
    assert details(RemoteWorkersError(Reason.NOT_FOUND, "m")) == ["ErrorInfo"]
    fields = (FieldViolation("a", "b"),)
    assert details(RemoteWorkersError(Reason.INVALID_FIELD, "m", fields=fields)) == ["ErrorInfo", "BadRequest"]
    full = RemoteWorkersError(Reason.BACKLOG_FULL, "m", {"worker_topic": "t"}, retry_delay_seconds=0)
    assert Counter(details(full)) == Counter(["ErrorInfo", "QuotaFailure", "RetryInfo"])
    violations = [QuotaFailure(), RetryInfo(), BadRequest()]
    unpacked = [kind for kind in violations for detail in to_status(full).details if detail.Unpack(kind)]
    assert isinstance(unpacked[0], QuotaFailure)
    assert unpacked[0].violations[0].subject == "t"


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (grpc.StatusCode.UNAVAILABLE, Reason.STORE_UNAVAILABLE),
        (grpc.StatusCode.UNIMPLEMENTED, Reason.NOT_IMPLEMENTED),
        (grpc.StatusCode.NOT_FOUND, Reason.NOT_FOUND),
        (grpc.StatusCode.DATA_LOSS, Reason.INTERNAL),
    ],
)
def test_an_error_that_is_not_ours_gets_the_closest_reason(code: grpc.StatusCode, reason: Reason) -> None:
    """A proxy's or gRPC's own."""
    heard = from_rpc_error(FailedCall(code, "connection refused"))
    assert (heard.reason, heard.message) == (reason, "connection refused")
    assert from_rpc_error(FailedCall(code)).message == code.name


def test_somebody_elses_error_info_is_not_taken_for_ours() -> None:
    """Reasons belong to their domain."""
    packed = AnyMessage()
    packed.Pack(ErrorInfo(reason="CANCELLED", domain="example.com"))
    assert from_status(Status(code=14, details=[packed])).reason is Reason.STORE_UNAVAILABLE


def test_a_reason_of_a_later_release_gets_the_closest_one() -> None:
    """The status code still tells what kind it is."""
    packed = AnyMessage()
    packed.Pack(ErrorInfo(reason="TOMORROW", domain=DOMAIN))
    assert from_status(Status(code=5, details=[packed])).reason is Reason.NOT_FOUND


def test_a_trailer_that_is_no_status_is_ignored() -> None:
    """The call's own code is left."""
    call = FailedCall(grpc.StatusCode.NOT_FOUND, "m", ((DETAILS_KEY, b"\xff\xff"), ("other", "x")))
    assert from_rpc_error(call).reason is Reason.NOT_FOUND


def test_an_error_reads_well() -> None:
    """Reason, message, then each field."""
    error = RemoteWorkersError(
        Reason.INVALID_FIELD, "2 wrong", fields=(FieldViolation("a", "b"), FieldViolation("c", "d"))
    )
    assert str(error) == "INVALID_FIELD: 2 wrong; a: b; c: d"
