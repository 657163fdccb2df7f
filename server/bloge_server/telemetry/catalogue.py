"""Every metric: what it counts, in which unit, by which labels. `docs/metrics.md` is made from it."""

from dataclasses import dataclass
from typing import Literal

TOPIC = ("namespace", "worker_topic")
OTHER = "(other)"
"""What both labels say for topics beyond the limit; no topic can be called so."""

_WORK_SECONDS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 900, 3600)
_CALL_SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1)
_LAG_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5)


@dataclass(frozen=True, slots=True)
class Metric:
    """What is told about one metric."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    text: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    """Upper bounds, histograms only."""


CATALOGUE = (
    # What there is, read from the store when somebody asks: the same on every server of a store.
    Metric("bloge_items", "gauge", "Items by status; FINISHED are kept until their retention ends", (*TOPIC, "status")),
    Metric("bloge_oldest_ready_age_seconds", "gauge", "Age of the oldest ready item since its enqueue", TOPIC),
    Metric("bloge_topic_paused", "gauge", "1 if claims of the topic are stopped", TOPIC),
    Metric("bloge_oldest_dead_letter_age_seconds", "gauge", "Age of the oldest dead letter", TOPIC),
    Metric("bloge_dead_letters_beyond_limit", "gauge", "Dead letters beyond the topic's limit", TOPIC),
    Metric("bloge_unacknowledged_outcomes", "gauge", "Outcomes that no orchestrator has acknowledged", TOPIC),
    Metric("bloge_oldest_unacknowledged_age_seconds", "gauge", "Age of the oldest unacknowledged outcome", TOPIC),
    Metric("bloge_topics", "gauge", "Topics of the store"),
    # What this server has.
    Metric("bloge_sessions", "gauge", "Open sessions of workers"),
    Metric("bloge_topic_sessions", "gauge", "Open sessions that serve a topic; one may serve several", TOPIC),
    Metric("bloge_credits", "gauge", "Items that sessions may still be offered"),
    Metric("bloge_offers_outstanding", "gauge", "Items offered whose receipt has not come"),
    Metric("bloge_build_info", "gauge", "1, with the server's version", ("version",)),
    # What this server did.
    Metric("bloge_enqueued_total", "counter", "Items created", TOPIC),
    Metric("bloge_claims_total", "counter", "Items claimed, offers included", TOPIC),
    Metric("bloge_reports_accepted_total", "counter", "Accepted reports, repeated ones included", (*TOPIC, "report")),
    Metric("bloge_reports_rejected_total", "counter", "Refused reports by reason", (*TOPIC, "report", "reason")),
    Metric("bloge_outcomes_total", "counter", "Outcomes written", (*TOPIC, "outcome")),
    Metric("bloge_retries_total", "counter", "Claims that ended without an outcome and run again", (*TOPIC, "cause")),
    Metric("bloge_lease_losses_total", "counter", "Leases that ran out while a worker held the item", TOPIC),
    Metric("bloge_receipts_missed_total", "counter", "Offers that lapsed before their receipt", TOPIC),
    Metric("bloge_dead_letters_total", "counter", "Items that became dead letters", (*TOPIC, "reason")),
    Metric("bloge_dead_letter_actions_total", "counter", "Dead letters settled by people", (*TOPIC, "action")),
    Metric("bloge_late_outputs_total", "counter", "Refused outputs that were kept", (*TOPIC, "reason")),
    Metric("bloge_store_failures_total", "counter", "Calls to the store that failed", ("script",)),
    # How long things took on this server.
    Metric("bloge_queue_wait_seconds", "histogram", "From enqueue, or the end of a start delay, to the first claim",
           TOPIC, _WORK_SECONDS),
    Metric("bloge_run_seconds", "histogram", "From claim to the accepted complete or fail", TOPIC, _WORK_SECONDS),
    Metric("bloge_end_to_end_seconds", "histogram", "From enqueue to outcome COMPLETED", TOPIC, _WORK_SECONDS),
    Metric("bloge_store_call_seconds", "histogram", "Calls to the store, the wait for a turn included", ("script",),
           _CALL_SECONDS),
    Metric("bloge_sweep_lag_seconds", "histogram", "How late sweeps began", (), _LAG_SECONDS),
    Metric("bloge_event_loop_lag_seconds", "histogram", "How late the event loop came back, four times a second", (),
           _LAG_SECONDS),
    Metric("bloge_cancel_latency_seconds", "histogram", "From a Cancel call on this server until it heard that the"
           " worker must stop; the order then goes out before anything else", (), _LAG_SECONDS),
)  # fmt: skip
