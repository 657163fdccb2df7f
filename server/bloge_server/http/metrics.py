"""`/metrics`, for Prometheus."""

import asyncio

from prometheus_client.exposition import choose_encoder
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bloge_server.services.depths import Depths
from bloge_server.telemetry.metrics import Metrics


def routes(metrics: Metrics, depths: Depths) -> list[Route]:
    """Return `/metrics`."""

    async def show(request: Request) -> Response:
        await depths.refresh()
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        # Thousands of lines take milliseconds to write, which no lease should wait for.
        return Response(await asyncio.to_thread(encode, metrics.registry), headers={"Content-Type": content_type})

    return [Route("/metrics", show)]
