"""What every gRPC client can rely on: health, reflection, readable refusals."""

from collections.abc import Callable
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from bloge.remote_workers.errors import Reason
from bloge.remote_workers.status import DETAILS_KEY, from_rpc_error
from bloge.remote_workers.v1 import (
    execution_service_pb2,
    ops_service_pb2,
    work_item_service_pb2,
    worker_service_pb2,
)
from support.wire import PATIENCE, Wire

PACKAGE = "bloge.remote_workers.v1"
SERVICES = [f"{PACKAGE}.{name}Service" for name in ("Worker", "WorkItem", "Execution", "Ops")]


@pytest.mark.parametrize("service", ["", *SERVICES])
def test_the_server_and_each_service_are_healthy(wire: Wire, service: str) -> None:
    """Load balancers ask for either."""
    call = wire.channel.unary_unary("/grpc.health.v1.Health/Check", bytes, health_pb2.HealthCheckResponse.FromString)
    request = health_pb2.HealthCheckRequest(service=service).SerializeToString()
    response = call(request, timeout=PATIENCE)
    assert response.status == health_pb2.HealthCheckResponse.SERVING


def reflect(wire: Wire, **question: str) -> Any:
    """Ask the server about itself."""
    stub: Any = reflection_pb2_grpc.ServerReflectionStub(wire.channel)
    make: Any = reflection_pb2.ServerReflectionRequest
    (response,) = stub.ServerReflectionInfo(iter([make(**question)]), timeout=PATIENCE)
    return response


def told_reason(call: Callable[[], object]) -> Reason | None:
    """Return why a call was refused, by our own word; None if it was not."""
    try:
        call()
    except grpc.RpcError as error:
        ours = DETAILS_KEY in str(error.trailing_metadata())
        return from_rpc_error(error).reason if ours else Reason.INTERNAL
    return None


def test_reflection_lists_our_services(wire: Wire) -> None:
    """And the standard ones."""
    listed = {each.name for each in reflect(wire, list_services="").list_services_response.service}
    assert {*SERVICES, "grpc.health.v1.Health"} <= listed


@pytest.mark.parametrize("service", SERVICES)
def test_reflection_describes_each_service(wire: Wire, service: str) -> None:
    """With every file that its messages come from."""
    response = reflect(wire, file_containing_symbol=service).file_descriptor_response
    files = [FileDescriptorProto.FromString(each) for each in response.file_descriptor_proto]
    assert service in {f"{each.package}.{found.name}" for each in files for found in each.service}
    for name in {dependency for each in files for dependency in each.dependency}:
        assert reflect(wire, file_by_filename=name).file_descriptor_response.file_descriptor_proto


@pytest.mark.parametrize("file", [worker_service_pb2, work_item_service_pb2, ops_service_pb2, execution_service_pb2])
def test_every_method_answers_for_itself(wire: Wire, file: Any) -> None:
    """An empty request is refused by our own word, or carried out; no method of the contract falls through."""
    for service in file.DESCRIPTOR.services_by_name.values():
        for method in service.methods:
            path = f"/{service.full_name}/{method.name}"
            call = _caller(wire.channel, path, method)
            expected = {
                None,
                Reason.INVALID_FIELD,
                Reason.INVALID_TOKEN,
                Reason.PROTOCOL_VIOLATION,
            }
            assert told_reason(call) in expected, path


def _caller(channel: grpc.Channel, path: str, method: MethodDescriptor) -> Callable[[], object]:
    """Return a function that calls a method with an empty request, or with an empty stream of them."""
    kind = f"{'stream' if method.client_streaming else 'unary'}_{'stream' if method.server_streaming else 'unary'}"
    call = getattr(channel, kind)(path, bytes, bytes)

    def empty() -> object:
        response = call(iter([b""]) if method.client_streaming else b"", timeout=PATIENCE)
        return list(response) if method.server_streaming else response

    return empty


@pytest.mark.parametrize("body", [b"\xff\xff\xff", b"\x00" * (5 * 1024 * 1024)], ids=["no message", "too large"])
def test_what_is_no_request_costs_only_its_sender(wire: Wire, body: bytes) -> None:
    """A message that is none, or larger than any may be, ends the call and nothing else."""
    enqueue = wire.channel.unary_unary(f"/{PACKAGE}.WorkItemService/Enqueue", bytes, bytes)
    with pytest.raises(grpc.RpcError):
        enqueue(body, timeout=PATIENCE)
    wire.put("a")
    assert wire.claim_one().spec.item_id == "a"
