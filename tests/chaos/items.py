"""The items of a run: what workers will do with each, and the policies that fit."""

import json
import random
from dataclasses import dataclass, field
from typing import Any

from bloge.remote_workers.v1 import work_item_pb2 as pb
from chaos.layout import GROUPS, TOPICS
from support.wire import seconds

KEEP, RESUME = pb.ON_DEAD_LETTER_KEEP_SUSPENDED, pb.ON_DEAD_LETTER_RESUME_WITH_FAILURE


@dataclass(frozen=True, slots=True)
class Part:
    """One kind of item in the mix.

    An item that could stop without an outcome has a suspend deadline, or resumes with failure, so that all items end.
    """

    weight: float
    script: dict[str, Any]
    """What a worker does: `do` on the first delivery, `then` on later ones."""
    retries: int = 6
    losses: int = 3
    suspend: tuple[float, float] | None = None
    """Bounds of the suspend timeout, s; None: no suspend deadline."""
    delay: tuple[float, float] | None = None
    """Bounds of the start delay, s."""
    attempt_timeout: float | None = None
    on_dead_letter: pb.OnDeadLetter.ValueType = KEEP


MIX = (
    Part(60, {"do": "finish"}),
    Part(8, {"do": "finish"}, suspend=(20, 30)),
    Part(4, {"do": "finish"}, delay=(0.3, 2.0)),
    Part(4, {"do": "twice"}),
    Part(3, {"do": "change"}),
    Part(6, {"do": "fail", "failures": 2}),
    Part(1.5, {"do": "fail", "failures": 99}, retries=2, on_dead_letter=RESUME),
    Part(1, {"do": "fail", "failures": 99}, retries=2, suspend=(2, 4)),
    Part(1.5, {"do": "reject"}, on_dead_letter=RESUME),
    Part(3, {"do": "business"}),
    Part(3, {"do": "release"}),
    Part(2, {"do": "slow", "seconds": 1.6}),
    # Reports after its lease, when another worker runs the item already.
    Part(1, {"do": "late", "seconds": 0.9, "then": "slow"}),
    # One lost lease makes a dead letter, which the late output still saves.
    Part(1, {"do": "late", "seconds": 0.2}, losses=0),
    Part(0.7, {"do": "late_fail", "seconds": 0.8, "then": "slow"}),
    Part(1, {"do": "hang"}),
    Part(0.5, {"do": "hang", "then": "hang"}, suspend=(2, 4)),
    Part(0.4, {"do": "slow", "seconds": 4.0}, attempt_timeout=1.5),
    Part(0.15, {"do": "crash"}),
    # Not due before its deadline: only the deadline can end it.
    Part(1.5, {"do": "finish"}, delay=(60, 60), suspend=(1, 4)),
)
CANCELLED_SHARE = 0.01


@dataclass(slots=True)
class ItemSource:
    """Describes items, the same ones for the same seed.

    Args:
        seed: decides everything.
    """

    seed: int
    count: int = 0
    _dice: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._dice = random.Random(f"items-{self.seed}")

    def next(self) -> pb.WorkItemSpec:
        """Return the next item."""
        dice = self._dice
        (part,) = dice.choices(MIX, [each.weight for each in MIX])
        self.count += 1
        topic = dice.choice(TOPICS)
        script = part.script | {"work": round(dice.uniform(0.0, 0.03), 4)}
        spec = pb.WorkItemSpec(
            item_id=f"item-{self.count:06}",
            worker_topic=topic,
            payload=_envelope(topic, script),
            priority=dice.choice((10, 50, 50, 90)),
            retry_policy=pb.RetryPolicy(
                attempts=part.retries,
                backoff=seconds(0.05),
                strategy=pb.BACKOFF_STRATEGY_JITTER,
                max_backoff=seconds(1),
            ),
            max_lease_losses=part.losses,
            on_dead_letter=part.on_dead_letter,
            reply_group=dice.choice(GROUPS),
            operator_ref=str(script["do"]),
        )
        if part.suspend is not None:
            spec.suspend_timeout.CopyFrom(seconds(round(dice.uniform(*part.suspend), 3)))
        if part.delay is not None:
            spec.start_delay.CopyFrom(seconds(round(dice.uniform(*part.delay), 3)))
        if part.attempt_timeout is not None:
            spec.attempt_timeout.CopyFrom(seconds(part.attempt_timeout))
        return spec

    def cancels(self) -> bool:
        """Return whether the item just described will be cancelled."""
        return self._dice.random() < CANCELLED_SHARE


def script_of(payload: bytes) -> dict[str, Any]:
    """Return what a worker is to do with an item."""
    script: dict[str, Any] = json.loads(payload)["input"]
    return script


def _envelope(topic: str, script: dict[str, Any]) -> bytes:
    envelope = {"operatorRef": script["do"], "workerTopic": topic, "input": script, "executionContext": {}}
    return json.dumps(envelope, separators=(",", ":")).encode()
