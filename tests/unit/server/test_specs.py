"""Descriptions of work items: every range with its path, and what makes two of them equal."""

from collections.abc import Callable

import pytest
from google.protobuf.duration_pb2 import Duration
from hypothesis import given
from hypothesis import strategies as st

from bloge.remote_workers.errors import Reason, RemoteWorkersError
from bloge.remote_workers.v1 import work_item_pb2 as pb
from bloge_server.domain.work_item import NewItem
from bloge_server.rpc.fields import Checks
from bloge_server.rpc.specs import fill_spec, new_item

DAY = 86_400
LIMIT = 1000


def spec(**changes: object) -> pb.WorkItemSpec:
    """Return a description with what is said, else the least that is required."""
    return pb.WorkItemSpec(**{"item_id": "a", "worker_topic": "t", **changes})  # type: ignore[arg-type]  # real fields


def taken(description: pb.WorkItemSpec) -> NewItem:
    """Return what the store takes for a valid description."""
    checks = Checks(prefix="items[0].")
    item = new_item(description, checks, LIMIT)
    checks.done()
    return item


def wrong(description: pb.WorkItemSpec) -> list[str]:
    """Return the paths of the fields that are wrong."""
    checks = Checks(prefix="items[0].")
    new_item(description, checks, LIMIT)
    return [each.field for each in checks.violations]


def seconds(value: float) -> Duration:
    """Return a duration."""
    duration = Duration()
    duration.FromMicroseconds(int(value * 1_000_000))
    return duration


def retry(**changes: object) -> pb.WorkItemSpec:
    """Return a description with a retry policy."""
    return spec(retry_policy=pb.RetryPolicy(**changes))  # type: ignore[arg-type]  # real fields


def test_empty_fields_mean_their_documented_defaults() -> None:
    """An item that says no more than where it goes."""
    item = taken(spec())
    assert item._replace(digest="", spec=b"") == NewItem("a", "", b"", b"")
    assert (item.priority, item.max_lease_losses, item.attempt_timeout_ms) == (50, 3, 3_600_000)
    assert (item.max_retries, item.backoff, item.reply_group) == (0, "FIXED:0:0", "-")
    assert (item.item_type, item.on_dead_letter) == ("EXECUTE_NODE", "KEEP_SUSPENDED")


def test_an_execution_has_no_attempt_timeout_unless_it_asks_for_one() -> None:
    """A graph may run for weeks."""
    graph = pb.WORK_ITEM_TYPE_EXECUTE_GRAPH
    assert taken(spec(item_type=graph)).attempt_timeout_ms == 0
    assert taken(spec(item_type=graph, attempt_timeout=seconds(5))).attempt_timeout_ms == 5000


def test_every_field_reaches_the_store() -> None:
    """Nothing that was asked for is dropped."""
    policy = pb.RetryPolicy(
        attempts=4,
        backoff=seconds(2),
        max_backoff=seconds(60),
        strategy=pb.BACKOFF_STRATEGY_JITTER,
        non_retryable_error_types=["A", "B c"],
    )
    item = taken(
        spec(
            payload=b"in",
            priority=0,
            start_delay=seconds(1.5),
            suspend_timeout=seconds(0.3),
            attempt_timeout=Duration(),
            max_lease_losses=0,
            on_dead_letter=pb.ON_DEAD_LETTER_RESUME_WITH_FAILURE,
            reply_group="g",
            retry_policy=policy,
        )
    )
    assert item.payload == b"in"
    assert (item.priority, item.start_delay_ms, item.suspend_timeout_ms) == (0, 1500, 300)
    assert (item.attempt_timeout_ms, item.max_lease_losses, item.max_retries) == (0, 0, 4)
    assert (item.backoff, item.fatal_error_types) == ("JITTER:2000:60000", "A\nB c")
    assert (item.on_dead_letter, item.reply_group) == ("RESUME_WITH_FAILURE", "g")


def test_the_stored_description_carries_everything_but_the_payload() -> None:
    """The payload is kept once."""
    description = spec(payload=b"in", node_id="n", trace_context=pb.TraceContext(traceparent="00-1"))
    item = taken(description)
    kept = pb.WorkItemSpec.FromString(item.spec)
    assert kept.payload == b""
    assert (kept.node_id, kept.trace_context.traceparent) == ("n", "00-1")


@pytest.mark.parametrize(
    ("description", "path"),
    [
        (spec(item_id=""), "item_id"),
        (spec(item_id="a/b"), "item_id"),
        (spec(item_id="x" * 129), "item_id"),
        (spec(worker_topic=""), "worker_topic"),
        (spec(worker_topic="{t}"), "worker_topic"),
        (spec(item_type=99), "item_type"),
        (spec(priority=-1), "priority"),
        (spec(priority=100), "priority"),
        (spec(max_lease_losses=-1), "max_lease_losses"),
        (spec(max_lease_losses=1001), "max_lease_losses"),
        (spec(attempt_timeout=seconds(0.999)), "attempt_timeout"),
        (spec(attempt_timeout=Duration(nanos=1)), "attempt_timeout"),
        (spec(attempt_timeout=seconds(30 * DAY + 0.001)), "attempt_timeout"),
        (spec(start_delay=seconds(-0.001)), "start_delay"),
        (spec(start_delay=seconds(365 * DAY + 0.001)), "start_delay"),
        (spec(suspend_timeout=Duration()), "suspend_timeout"),
        (spec(suspend_timeout=seconds(3650 * DAY + 0.001)), "suspend_timeout"),
        (spec(on_dead_letter=99), "on_dead_letter"),
        (spec(reply_group="a b"), "reply_group"),
        (spec(execution_id="a b"), "execution_id"),
        (spec(node_id="x" * 257), "node_id"),
        (spec(operator_ref="x" * 257), "operator_ref"),
        (spec(trace_context=pb.TraceContext(traceparent="x" * 129)), "trace_context.traceparent"),
        (spec(trace_context=pb.TraceContext(tracestate="x" * 513)), "trace_context.tracestate"),
        (retry(attempts=-1), "retry_policy.attempts"),
        (retry(attempts=1001), "retry_policy.attempts"),
        (retry(backoff=seconds(-1)), "retry_policy.backoff"),
        (retry(backoff=seconds(7 * DAY + 0.001)), "retry_policy.backoff"),
        (retry(max_backoff=seconds(-1)), "retry_policy.max_backoff"),
        (retry(max_backoff=seconds(7 * DAY + 0.001)), "retry_policy.max_backoff"),
        (retry(strategy=99), "retry_policy.strategy"),
        (retry(non_retryable_error_types=["x"] * 33), "retry_policy.non_retryable_error_types"),
        (retry(non_retryable_error_types=["x", ""]), "retry_policy.non_retryable_error_types[1]"),
        (retry(non_retryable_error_types=["x" * 257]), "retry_policy.non_retryable_error_types[0]"),
        (retry(non_retryable_error_types=["a\nb"]), "retry_policy.non_retryable_error_types[0]"),
    ],
)
def test_a_value_out_of_range_is_told_with_its_path(description: pb.WorkItemSpec, path: str) -> None:
    """The path leads from the request's root to the field, and to nothing else."""
    assert wrong(description) == [f"items[0].{path}"]


@pytest.mark.parametrize(
    "description",
    [
        spec(item_id="x" * 128, priority=99, max_lease_losses=1000),
        spec(attempt_timeout=seconds(1), start_delay=Duration(), suspend_timeout=Duration(nanos=1_000_000)),
        spec(attempt_timeout=seconds(30 * DAY), start_delay=seconds(365 * DAY), suspend_timeout=seconds(3650 * DAY)),
        spec(node_id="x" * 256, operator_ref="ä" * 256, payload=b"x" * LIMIT),
        retry(attempts=1000, backoff=seconds(7 * DAY), max_backoff=seconds(7 * DAY)),
        retry(non_retryable_error_types=["x" * 256] * 32),
    ],
)
def test_the_ends_of_every_range_are_allowed(description: pb.WorkItemSpec) -> None:
    """A limit is the last value that is accepted."""
    assert wrong(description) == []


def test_all_violations_of_an_item_are_told() -> None:
    """One look at the refusal mends the item."""
    description = spec(item_id="", priority=100, reply_group="a b", retry_policy=pb.RetryPolicy(attempts=-1))
    assert wrong(description) == [
        "items[0].item_id",
        "items[0].priority",
        "items[0].retry_policy.attempts",
        "items[0].reply_group",
    ]


def test_a_payload_over_the_limit_is_refused() -> None:
    """The refusal names the payload and both sizes."""
    with pytest.raises(RemoteWorkersError) as refusal:
        taken(spec(payload=b"x" * (LIMIT + 1)))
    assert refusal.value.reason is Reason.TOO_LARGE
    assert [each.field for each in refusal.value.fields] == ["items[0].payload"]
    assert refusal.value.metadata == {"limit_bytes": "1000", "actual_bytes": "1001"}


def base() -> pb.WorkItemSpec:
    """Return the description that the equality rules are told by."""
    return spec(
        payload=b"in",
        priority=40,
        retry_policy=pb.RetryPolicy(attempts=2, backoff=seconds(1), non_retryable_error_types=["A"]),
        max_lease_losses=2,
        attempt_timeout=seconds(10),
        start_delay=seconds(1),
        suspend_timeout=seconds(60),
        reply_group="g",
    )


Change = Callable[[pb.WorkItemSpec], object]


@pytest.mark.parametrize(
    "change",
    [
        lambda s: setattr(s, "payload", b"other"),
        lambda s: setattr(s, "priority", 41),
        lambda s: setattr(s, "item_type", pb.WORK_ITEM_TYPE_EXECUTE_GRAPH),
        lambda s: setattr(s, "max_lease_losses", 3),
        lambda s: setattr(s, "on_dead_letter", pb.ON_DEAD_LETTER_RESUME_WITH_FAILURE),
        lambda s: setattr(s, "reply_group", "h"),
        lambda s: s.attempt_timeout.FromSeconds(11),
        lambda s: s.start_delay.FromSeconds(2),
        lambda s: s.suspend_timeout.FromSeconds(61),
        lambda s: setattr(s.retry_policy, "attempts", 3),
        lambda s: s.retry_policy.backoff.FromSeconds(2),
        lambda s: s.retry_policy.max_backoff.FromSeconds(2),
        lambda s: setattr(s.retry_policy, "strategy", pb.BACKOFF_STRATEGY_JITTER),
        lambda s: s.retry_policy.non_retryable_error_types.append("B"),
    ],
)
def test_what_changes_the_content(change: Change) -> None:
    """Type, payload, policies, priority and requested durations make an item another one."""
    changed = base()
    change(changed)
    assert taken(changed).digest != taken(base()).digest


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s.trace_context.MergeFrom(pb.TraceContext(traceparent="00-2", tracestate="a=b")),
        lambda s: setattr(s, "item_type", pb.WORK_ITEM_TYPE_EXECUTE_NODE),
        lambda s: setattr(s, "on_dead_letter", pb.ON_DEAD_LETTER_KEEP_SUSPENDED),
        lambda s: setattr(s.retry_policy, "strategy", pb.BACKOFF_STRATEGY_FIXED),
        lambda s: s.ParseFromString(s.SerializeToString(deterministic=True)),
    ],
)
def test_what_does_not_change_the_content(change: Change) -> None:
    """A trace context belongs to the call, and saying a default is saying nothing."""
    changed = base()
    change(changed)
    assert taken(changed).digest == taken(base()).digest


def test_the_digest_does_not_depend_on_the_item_or_the_moment() -> None:
    """Two items of the same content have the same digest; ids tell them apart."""
    assert taken(spec(payload=b"x")).digest == taken(spec(item_id="b", payload=b"x")).digest


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_no_two_payloads_share_a_digest(one: bytes, other: bytes) -> None:
    """The digest is one word of characters that the store's scripts keep as they are."""
    digests = taken(spec(payload=one)).digest, taken(spec(payload=other)).digest
    assert (digests[0] == digests[1]) is (one == other)
    assert " " not in digests[0]


def test_a_stored_item_is_told_whole_and_keeps_nothing_twice() -> None:
    """Id, topic and payload are kept apart from the description and come back with it."""
    description = spec(node_id="n", payload=b"{}")
    sent = description.SerializeToString()
    item = taken(description)
    assert item.spec == pb.WorkItemSpec(node_id="n").SerializeToString()
    told = pb.WorkItemSpec()
    fill_spec(told, item.spec, "t", item.item_id, item.payload)
    assert told == pb.WorkItemSpec.FromString(sent)
