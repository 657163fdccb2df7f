"""The gRPC server: services, health, reflection, and the address it may listen on."""

import grpc
from grpc_health.v1 import health_pb2
from grpc_health.v1.health import aio as health_aio
from grpc_health.v1.health_pb2_grpc import add_HealthServicer_to_server
from grpc_reflection.v1alpha import reflection

from bloge.remote_workers.v1 import (
    execution_service_pb2,
    execution_service_pb2_grpc,
    ops_service_pb2,
    ops_service_pb2_grpc,
    work_item_service_pb2,
    work_item_service_pb2_grpc,
    worker_service_pb2,
    worker_service_pb2_grpc,
)
from bloge_server import listening
from bloge_server.rpc.execution_service import ExecutionService
from bloge_server.rpc.ops_service import OpsService
from bloge_server.rpc.unreadable import UnreadableRequests
from bloge_server.rpc.work_item_service import WorkItemService
from bloge_server.rpc.worker_service import WorkerService

_MAX_MESSAGE_BYTES = 4 * 1024 * 1024
"""Frames and replies are at most 3 MiB; the rest is room for what gRPC and a careless client add."""
_OPTIONS = (
    ("grpc.max_receive_message_length", _MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", _MAX_MESSAGE_BYTES),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
)
_SERVICES = (
    worker_service_pb2.DESCRIPTOR.services_by_name["WorkerService"].full_name,
    work_item_service_pb2.DESCRIPTOR.services_by_name["WorkItemService"].full_name,
    execution_service_pb2.DESCRIPTOR.services_by_name["ExecutionService"].full_name,
    ops_service_pb2.DESCRIPTOR.services_by_name["OpsService"].full_name,
)


def build(
    worker: WorkerService,
    work_item: WorkItemService,
    execution: ExecutionService,
    ops: OpsService,
    *,
    shared_port: bool = False,
) -> tuple["grpc.aio.Server", health_aio.HealthServicer]:
    """Return a server with every service, not yet listening, and its health.

    Args:
        worker: a service.
        work_item: a service.
        execution: a service.
        ops: a service.
        shared_port: whether other processes of this server serve on the same port. Never by accident: a second server
            on the port would start, and take half of the connections.
    """
    options = (*_OPTIONS, ("grpc.so_reuseport", int(shared_port)))
    server = grpc.aio.server(interceptors=(UnreadableRequests(),), options=options)
    worker_service_pb2_grpc.add_WorkerServiceServicer_to_server(worker, server)
    work_item_service_pb2_grpc.add_WorkItemServiceServicer_to_server(work_item, server)
    execution_service_pb2_grpc.add_ExecutionServiceServicer_to_server(execution, server)
    ops_service_pb2_grpc.add_OpsServiceServicer_to_server(ops, server)
    health = health_aio.HealthServicer()
    add_HealthServicer_to_server(health, server)
    reflected = (*_SERVICES, health_pb2.DESCRIPTOR.services_by_name["Health"].full_name, reflection.SERVICE_NAME)
    reflection.enable_server_reflection(reflected, server)
    return server, health


async def set_serving(health: health_aio.HealthServicer) -> None:
    """Tell health checks that the server and each service are ready."""
    for name in ("", *_SERVICES):
        await health.set(name, health_pb2.HealthCheckResponse.SERVING)


def listen(server: "grpc.aio.Server", address: str, *, insecure: bool) -> str:
    """Open the port; return the address with the port that was given.

    Raises:
        StartupError: the port is taken, or the address would serve strangers without identity.
    """
    listening.refuse_strangers("--listen", address, insecure=insecure)
    try:
        port = server.add_insecure_port(address)
    except RuntimeError as error:
        raise listening.taken("--listen", address) from error
    return address if address.startswith("unix:") else f"{address.rpartition(':')[0]}:{port}"
