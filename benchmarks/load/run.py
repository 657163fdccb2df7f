"""One run of a load: enqueuer, workers, sampler, and what they find."""

import asyncio
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path

import grpc

from benchmarks.load.enqueuer import Enqueuer
from benchmarks.load.figures import Figures, Moments, compute
from benchmarks.load.fleet import Fleet
from benchmarks.load.ledger import Ledger, settle
from benchmarks.load.plan import draw
from benchmarks.load.profiles import Profile
from benchmarks.load.sampler import Sample, Sampler
from bloge_orchestrator.control_plane import ControlPlane

Tell = Callable[[Sample, Sample], None]
Processes = Callable[[], Mapping[str, list[int]]]


async def run(
    profile: Profile, address: str, server_processes: Processes, folder: Path, tell: Tell
) -> tuple[Figures, list[Sample]]:
    """Run a load against a server.

    Args:
        profile: what happens.
        address: of the server.
        server_processes: returns the server's processes, by what they are; none if it is another's.
        folder: where workers note what they run.
        tell: called once a second with the last two samples.

    Returns:
        What it came to, and the samples.

    Raises:
        ExceptionGroup: with a RuntimeError if a worker process could not work.
        ControlPlaneUnreachableError: no server answers at the address.
    """
    ledger = Ledger(draw(profile))
    async with ControlPlane(address) as control_plane, grpc.aio.insecure_channel(address) as channel:
        await control_plane.check()
        enqueuer = Enqueuer(control_plane, ledger, f"load-{secrets.token_hex(4)}")
        fleet = Fleet(address, profile, folder)
        sampler = Sampler(channel, enqueuer, ledger, fleet, server_processes)
        try:
            moments = await _carry_out(profile, enqueuer, fleet, sampler, tell)
        finally:
            await fleet.stop()
    accounts = settle(ledger, fleet.runs())
    return compute(ledger, accounts, moments, sampler.samples, enqueuer.lags_ms), sampler.samples


async def _carry_out(profile: Profile, enqueuer: Enqueuer, fleet: Fleet, sampler: Sampler, tell: Tell) -> Moments:
    """Let the plan happen, and return once every item has ended or patience is spent."""
    await fleet.open_idle_sessions()
    fill_seconds = await enqueuer.fill()
    await fleet.start()
    enqueuer.start()
    async with asyncio.TaskGroup() as group:
        watching = [group.create_task(sampler.run(tell)), group.create_task(fleet.broken())]
        outage = group.create_task(_outage(profile, enqueuer, fleet))
        await enqueuer.arrive()
        await enqueuer.until_over()
        began, ended = await outage
        for task in watching:
            task.cancel()
    await sampler.take()
    return Moments(fill_seconds, fleet.restarts, began, ended)


async def _outage(profile: Profile, enqueuer: Enqueuer, fleet: Fleet) -> tuple[float | None, float | None]:
    """Take the workers away for a while, if the profile says so; return when."""
    if not profile.outage_after:
        return None, None
    await asyncio.sleep(profile.outage_after)
    began = enqueuer.now
    await fleet.kill()
    await asyncio.sleep(profile.outage_seconds)
    ended = enqueuer.now
    await fleet.start()
    return began, ended
