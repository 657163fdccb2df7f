"""Brings leases to handlers and handlers' ends back to the core. Lives on the lease keeper's thread."""

import logging
from collections.abc import Callable
from math import inf

from bloge_worker._executors import AsyncExecutor, RunExecutor, ThreadExecutor
from bloge_worker._leases import HeldLease
from bloge_worker._payload import decode_payload
from bloge_worker._processes import ChildProcesses
from bloge_worker._run_log import log_stop
from bloge_worker._runs import OnEnded, Run, RunServices
from bloge_worker.handlers import Handler, HandlerRegistry
from bloge_worker.outcomes import Report, report_release

UNKNOWN_OPERATOR_DELAY = 5.0
"""Seconds after which an item is due again that this worker has no handler for: another worker may have one."""

_WARNING_INTERVAL = 60.0

_log = logging.getLogger("bloge_worker")

MakeExecutor = Callable[[Handler], RunExecutor]


class ProcessExecutor(ThreadExecutor):
    """Runs handlers in child processes, each watched by a thread."""

    def __init__(self, size: int, children: ChildProcesses, on_ended: OnEnded) -> None:
        super().__init__(size, children.execute, on_ended)
        self._children = children

    def close(self) -> None:
        """Kill the children and let the threads end."""
        super().close()
        self._children.close()


class Dispatcher:
    """Starts and stops the runs of held leases.

    Args:
        handlers: the worker's handlers.
        executors: where each handler runs.
        clock: monotonic seconds.
        on_unknown: takes a lease without a handler, with the report that hands it back.
    """

    def __init__(
        self,
        handlers: HandlerRegistry,
        executors: dict[Handler, RunExecutor],
        clock: Callable[[], float],
        on_unknown: Callable[[HeldLease, Report], object],
    ) -> None:
        self._handlers = handlers
        self._executors = executors
        self._clock = clock
        self._on_unknown = on_unknown
        self.runs_on_loop = 0
        """How many `async` handlers run or wait."""
        self._runs: dict[HeldLease, Run] = {}
        self.unknown_operators = 0
        """Items handed back because no handler takes their operator."""
        self._warned_at: dict[tuple[str, str], float] = {}

    def start(self, leases: list[HeldLease]) -> None:
        """Run leases. Each executor gets its share in one piece."""
        shares: dict[RunExecutor, list[Run]] = {}
        for held in leases:
            handler = self._find(held)
            if handler is None:
                self._refuse(held)
                continue
            run = self._runs[held] = Run(held, handler)
            self.runs_on_loop += handler.executor == "async"
            shares.setdefault(self._executors[handler], []).append(run)
        for executor, runs in shares.items():
            executor.start(runs)

    def stop(self, leases: list[tuple[HeldLease, str]]) -> None:
        """Stop the runs of leases that are over, each with why."""
        for held, reason in leases:
            if (run := self._runs.get(held)) is not None:
                log_stop(run, reason, self._clock())
                run.cancellation.cancel(reason)
                self._executors[run.handler].cancel(run)

    def ask(self, leases: list[HeldLease]) -> None:
        """Ask the handlers of executions to cancel them."""
        for held in leases:
            if (run := self._runs.get(held)) is not None:
                run.cancellation.ask()

    def forget(self, run: Run) -> None:
        """Drop a run that has ended."""
        if self._runs.pop(run.held, None) is not None:
            self.runs_on_loop -= run.handler.executor == "async"

    def hand_back(self) -> None:
        """End the runs that have not started."""
        for executor in set(self._executors.values()):
            executor.hand_back()

    def close(self) -> None:
        """Free the executors."""
        for executor in set(self._executors.values()):
            executor.close()

    def _find(self, held: HeldLease) -> Handler | None:
        worker_topic, spec = held.key[0], held.spec
        operator = spec.operator_ref
        if not operator and self._handlers.tells_operators_apart(worker_topic):
            operator = decode_payload(spec.payload, raw=False).operator_ref
        return self._handlers.find(worker_topic, operator)

    def _refuse(self, held: HeldLease) -> None:
        spec = held.spec
        reason = f"this worker has no handler for operator {spec.operator_ref or '(none)'}"
        self.unknown_operators += 1
        self._on_unknown(held, report_release(held.token, UNKNOWN_OPERATOR_DELAY, reason))
        key, now = (spec.worker_topic, spec.operator_ref), self._clock()
        if now - self._warned_at.get(key, -inf) >= _WARNING_INTERVAL:
            self._warned_at[key] = now
            _log.warning(
                "topic %s: %s; released for %g s (%s)", spec.worker_topic, reason, UNKNOWN_OPERATOR_DELAY, spec.item_id
            )


def make_executors(
    handlers: HandlerRegistry, on_loop: AsyncExecutor, slots: int, services: RunServices, on_ended: OnEnded
) -> dict[Handler, RunExecutor]:
    """Return where each handler runs. Threads are shared by the handlers that have no limit of their own."""

    def in_thread(run: Run) -> Report | None:
        return run.execute_blocking(services)

    shared = ThreadExecutor(slots, in_thread, on_ended)
    executors: dict[Handler, RunExecutor] = {}
    for handler in handlers:
        if handler.executor == "async":
            executors[handler] = on_loop
        elif handler.executor == "process":
            children = ChildProcesses(handler, services)
            executors[handler] = ProcessExecutor(min(handler.most_runs or slots, slots), children, on_ended)
        elif handler.most_runs is None:
            executors[handler] = shared
        else:
            executors[handler] = ThreadExecutor(min(handler.most_runs, slots), in_thread, on_ended)
    return executors
