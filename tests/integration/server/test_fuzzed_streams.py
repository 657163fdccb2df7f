"""Streams and calls that carry what no client of ours sends: typed refusals, a quiet log, and others never notice."""

import random
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from bloge.remote_workers.errors import Reason
from bloge.remote_workers.status import from_rpc_error
from bloge.remote_workers.v1 import lease_pb2
from bloge.remote_workers.v1 import work_stream_pb2 as pb
from support.server import ServerProcess, running_process
from support.wire import PATIENCE, TOPIC, Wire, refused

PACKAGE = "bloge.remote_workers.v1"
HELLO = pb.WorkRequest(hello=pb.Hello(worker_id="raw", worker_topics=["raw"])).SerializeToString()
LATER = b"\xfa\x3f\x03new"
"""A frame of a kind that a later release may have: field 1023."""
NOT_UTF8 = pb.WorkRequest(drain=pb.Drain(reason="12")).SerializeToString().replace(b"12", b"\xff\xfe")
SEED = 20260711


@pytest.fixture(scope="module")
def fuzzed_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Return a server whose log nobody else fills; afterwards it holds no complaint about the server itself."""
    with running_process(tmp_path_factory.mktemp("fuzzed")) as server:
        yield server
    assert [entry for entry in server.log if "exception" in entry or entry.get("level", "error") == "error"] == []


@pytest.fixture
def wire(fuzzed_server: ServerProcess, namespace: str) -> Iterator[Wire]:
    """Return a wire on which another worker is at work all the time, and still is afterwards."""
    with Wire(fuzzed_server.address, namespace) as wire, wire.session("bystander", credit=1) as bystander:
        yield wire
        wire.put("last")
        (lease,) = bystander.leases(1)
        bystander.report(completes=[lease_pb2.CompleteReport(lease_token=lease.lease_token, report_id=1)])
        assert bystander.verdicts()[1].reason == 0


def raw_stream(wire: Wire, *frames: bytes) -> list[str]:
    """Send bytes as frames on a `Work` stream of their own; return the kinds of the frames that come back."""
    work = wire.channel.stream_stream(
        f"/{PACKAGE}.WorkerService/Work",
        request_serializer=bytes,
        response_deserializer=pb.WorkResponse.FromString,
    )
    return [str(frame.WhichOneof("frame")) for frame in work(iter(frames), timeout=PATIENCE)]


def ending(read: Callable[[], object]) -> Reason | None:
    """Read a stream to its end; return why it was refused, or None."""
    try:
        read()
    except grpc.RpcError as error:
        return from_rpc_error(error).reason
    return None


@pytest.mark.parametrize(
    "frames",
    [
        (b"\xff\xff\xff",),
        (HELLO[:-3],),
        (b"",),
        (LATER,),
        (HELLO, b"\xff\xff\xff"),
        (HELLO, b""),
        (HELLO, LATER),
        (HELLO, NOT_UTF8),
    ],
    ids=["bytes", "half a hello", "nothing", "unknown", "then bytes", "then nothing", "then unknown", "then not UTF-8"],
)
def test_a_frame_that_means_nothing_is_a_violation(wire: Wire, frames: tuple[bytes, ...]) -> None:
    """Of the protocol, whether it cannot be read or its kind is not known."""
    with refused() as told:
        raw_stream(wire, *frames)
    assert told[0].reason is Reason.PROTOCOL_VIOLATION


def test_a_frame_over_the_limit_is_too_large(wire: Wire) -> None:
    """It is not even taken in."""
    with refused() as told:
        raw_stream(wire, HELLO, bytes(4 * 1024 * 1024 + 1))
    assert told[0].reason is Reason.TOO_LARGE


@pytest.mark.parametrize("method", ["WorkerService/Claim", "WorkItemService/Enqueue", "OpsService/ListTopics"])
def test_a_request_that_cannot_be_read_is_refused(wire: Wire, method: str) -> None:
    """The refusal names the message that was expected."""
    call = wire.channel.unary_unary(f"/{PACKAGE}.{method}", request_serializer=bytes, response_deserializer=bytes)
    with refused() as told:
        call(b"\xff\xff\xff", timeout=PATIENCE)
    assert told[0].reason is Reason.PROTOCOL_VIOLATION
    assert f"{method.partition('/')[2]}Request" in told[0].message


def test_random_bytes_are_refused(wire: Wire) -> None:
    """Whatever they are: random ones, and real frames with some bytes changed."""
    chance = random.Random(SEED)
    report = lease_pb2.CompleteReport(lease_token="namespace/topic/a", report_id=3, output=b"123")
    frame = pb.WorkRequest(reports=pb.Reports(completes=[report])).SerializeToString()
    for _ in range(200):
        mutated = bytearray(frame)
        for _ in range(3):
            mutated[chance.randrange(len(mutated))] = chance.randrange(256)
        sent = chance.choice([bytes(mutated), chance.randbytes(chance.randint(1, 60))])
        assert ending(partial(raw_stream, wire, HELLO, sent)) in {None, Reason.PROTOCOL_VIOLATION}, sent


def test_extreme_values_are_answered(wire: Wire) -> None:
    """Well-formed frames with values that make no sense, some of them about real leases."""
    chance = random.Random(SEED)
    kinds = ["hello", "reports", "reports", "credits", "receipt", "ping", "drain"]
    ends: set[Reason | None] = set()
    for number in range(100):
        topic = f"topic-{number}"
        wire.put("a", "b", worker_topic=topic)
        with wire.session("odd", topic, credit=2) as session:
            tokens = [lease.lease_token for lease in session.expect("offers").leases]
            for kind in chance.choices(kinds, k=5):
                session.send(fill(pb.WorkRequest(), chance, tokens, kind))
            session.close()
            ends.add(ending(session.rest))
        hello = fill(pb.WorkRequest(), chance, tokens, "hello")
        hello.hello.MergeFrom(pb.Hello(namespace=wire.namespace, worker_id="odd"))
        with wire.work() as session:
            session.send(hello)
            session.close()
            ends.add(ending(session.rest))
    assert ends == {None, Reason.PROTOCOL_VIOLATION, Reason.INVALID_FIELD}


RANGES = {
    FieldDescriptor.TYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.TYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.TYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.TYPE_UINT64: (0, 2**64 - 1),
}


def fill(message: Any, chance: random.Random, tokens: list[str], *only: str) -> Any:
    """Return a message with extreme values in most of its fields, or in those named."""
    for field in message.DESCRIPTOR.fields:
        if field.name not in only if only else chance.random() < 0.3:
            continue
        value = getattr(message, field.name)
        if isinstance(value, Message):
            value.SetInParent()
            fill(value, chance, tokens)
        elif hasattr(value, "add"):
            fill(value.add(), chance, tokens)
        elif hasattr(value, "append"):
            value.append(odd(field, chance, tokens))
        else:
            setattr(message, field.name, odd(field, chance, tokens))
    return message


def odd(field: FieldDescriptor, chance: random.Random, tokens: list[str]) -> Any:
    """Return a value that a field may have but should not."""
    if field.type in RANGES:
        return chance.choice([*RANGES[field.type], 0, 1])
    if field.type == FieldDescriptor.TYPE_STRING:
        words = ["", TOPIC, "\x00", "ü" * 300, "x" * 5000, "a/b/c/d"]
        return chance.choice(tokens if "token" in field.name and chance.random() < 0.7 else words)
    if field.type == FieldDescriptor.TYPE_BYTES:
        return chance.choice([b"", b"\xff", b"{}", b"x" * 1_500_000])
    if field.type == FieldDescriptor.TYPE_BOOL:
        return chance.random() < 0.5
    assert field.type == FieldDescriptor.TYPE_ENUM, field.full_name
    return chance.choice([0, 1, 99])
