"""The least that a unary grpc.aio server can do: it gives back what it gets."""

import asyncio
import signal
import sys

import grpc
import uvloop

METHOD = "/bench.Echo/Call"


class Echo(grpc.GenericRpcHandler):
    """Answers any method with the request."""

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler[bytes, bytes]":
        """Return the handler of a call."""
        del handler_call_details
        return grpc.unary_unary_rpc_method_handler(_call)


async def _call(request: bytes, _: "grpc.aio.ServicerContext[bytes, bytes]") -> bytes:
    return request


async def main() -> None:
    """Serve until SIGTERM; say on which port."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    server = grpc.aio.server()
    server.add_generic_rpc_handlers([Echo()])
    sys.stdout.write(f"{server.add_insecure_port('127.0.0.1:0')}\n")
    sys.stdout.flush()
    await server.start()
    await stop.wait()
    await server.stop(grace=None)


if __name__ == "__main__":
    uvloop.run(main())
