"""`ExecutionService`: part of the contract; this release answers NOT_IMPLEMENTED."""

from bloge.remote_workers.v1 import execution_service_pb2
from bloge_server.rpc.boundary import completes


@completes(execution_service_pb2.DESCRIPTOR.services_by_name["ExecutionService"])
class ExecutionService:
    """Durable executions."""
