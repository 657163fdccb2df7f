"""What a worker does with a lease, as the item's script says, whatever protocol it speaks."""

import asyncio
import json
import os
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from bloge.remote_workers.v1 import lease_pb2
from bloge.remote_workers.v1.work_item_pb2 import BusinessError, Failure
from chaos.calls import token_name
from chaos.items import script_of
from support.wire import seconds

Report = lease_pb2.HeartbeatReport | lease_pb2.CompleteReport | lease_pb2.FailReport | lease_pb2.ReleaseReport


@dataclass(frozen=True, slots=True)
class Held:
    """A lease in a worker's hands."""

    lease: lease_pb2.Lease
    worker_id: str
    lease_seconds: float

    @property
    def item_id(self) -> str:
        """The item."""
        return self.lease.spec.item_id

    def facts(self, op: str, report: Report) -> dict[str, Any]:
        """Return what a history keeps of a report."""
        body = report.SerializeToString().hex() if op != "complete" else ""
        if isinstance(report, lease_pb2.CompleteReport):
            body = report.output.decode()
        facts = {"item": self.item_id, "fence": self.lease.fence, "token": token_name(self.lease.lease_token)}
        return facts | ({} if op == "heartbeat" else {"body": body})


Tell = Callable[[str, Held, Report], Awaitable[dict[str, Any] | None]]
"""Reports until there is a verdict, and returns its facts; None if there was none for too long."""


async def act(held: Held, tell: Tell) -> None:
    """Do what the script says: `do` on the first delivery, `then` on later ones."""
    script = script_of(held.lease.spec.payload)
    does = script["do"] if held.lease.claim_count == 1 or script["do"] in _ALWAYS else script.get("then", "finish")
    await _ACTS[does](held, tell, script)


async def _finish(held: Held, tell: Tell, script: dict[str, Any]) -> None:
    await asyncio.sleep(script["work"])
    await tell("complete", held, _complete(held))


async def _twice(held: Held, tell: Tell, script: dict[str, Any]) -> None:
    await _finish(held, tell, script)
    await tell("complete", held, _complete(held))


async def _change(held: Held, tell: Tell, script: dict[str, Any]) -> None:
    await _finish(held, tell, script)
    await tell("complete", held, _complete(held, changed=True))
    await tell("fail", held, _failure(held, "ChangedItsMind"))


async def _slow(held: Held, tell: Tell, script: dict[str, Any]) -> None:
    end = asyncio.get_running_loop().time() + script.get("seconds", 0.9)
    while (left := end - asyncio.get_running_loop().time()) > 0:
        await asyncio.sleep(min(left, held.lease_seconds / 3))
        verdict = await tell("heartbeat", held, lease_pb2.HeartbeatReport(lease_token=held.lease.lease_token))
        if verdict is not None and verdict["reason"] != "ACCEPTED":
            break  # a worker that stops late, and says so: its output must not count
    await tell("complete", held, _complete(held))


async def _late(held: Held, tell: Tell, script: dict[str, Any]) -> None:
    await asyncio.sleep(held.lease_seconds + script["seconds"])
    await tell("complete", held, _complete(held))
    await tell("complete", held, _complete(held))


async def _late_fail(held: Held, tell: Tell, script: dict[str, Any]) -> None:
    await asyncio.sleep(held.lease_seconds + script["seconds"])
    await tell("fail", held, _failure(held, "TooLate"))


async def _hang(held: Held, tell: Tell, script: dict[str, Any]) -> None:
    await asyncio.sleep(held.lease_seconds * 1.5)


async def _crash(held: Held, tell: Tell, script: dict[str, Any]) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


async def _fail(held: Held, tell: Tell, script: dict[str, Any]) -> None:
    if held.lease.attempt > script["failures"]:
        await _finish(held, tell, script)
        return
    await asyncio.sleep(script["work"])
    await tell("fail", held, _failure(held, "NotYet"))
    await tell("fail", held, _failure(held, "NotYet"))


async def _reject(held: Held, tell: Tell, script: dict[str, Any]) -> None:
    await tell("fail", held, _failure(held, "Never", non_retryable=True))


async def _business(held: Held, tell: Tell, script: dict[str, Any]) -> None:
    error = BusinessError(code="SAID_NO", details=_output(held))
    report = lease_pb2.FailReport(lease_token=held.lease.lease_token, business_error=error)
    await tell("business_error", held, report)


async def _release(held: Held, tell: Tell, script: dict[str, Any]) -> None:
    delay = seconds(script["work"] * 10)
    await tell("release", held, lease_pb2.ReleaseReport(lease_token=held.lease.lease_token, delay=delay))


_ACTS = {
    "finish": _finish,
    "twice": _twice,
    "change": _change,
    "slow": _slow,
    "late": _late,
    "late_fail": _late_fail,
    "hang": _hang,
    "crash": _crash,
    "fail": _fail,
    "reject": _reject,
    "business": _business,
    "release": _release,
}
_ALWAYS = {"fail", "reject", "business"}


def _complete(held: Held, *, changed: bool = False) -> lease_pb2.CompleteReport:
    return lease_pb2.CompleteReport(lease_token=held.lease.lease_token, output=_output(held, changed=changed))


def _failure(held: Held, error_type: str, *, non_retryable: bool = False) -> lease_pb2.FailReport:
    failure = Failure(type=error_type, message=f"{error_type} {held.lease.fence}", non_retryable=non_retryable)
    return lease_pb2.FailReport(lease_token=held.lease.lease_token, failure=failure)


def _output(held: Held, *, changed: bool = False) -> bytes:
    """Return an output that no other claim could have produced."""
    return output(held.item_id, held.lease.fence, held.worker_id, changed=changed)


def output(item_id: str, fence: int, worker_id: str, *, changed: bool = False) -> bytes:
    """Return the output of one claim."""
    told = {"item": item_id, "fence": fence, "worker": worker_id} | ({"changed": True} if changed else {})
    return json.dumps(told, separators=(",", ":")).encode()
