"""One run of a handler: its arguments in, its report out."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from bloge_worker._leases import HeldLease
from bloge_worker._payload import Payload, decode_payload
from bloge_worker._tracing import RunSpan, run_span
from bloge_worker.context import Cancellation, WorkContext
from bloge_worker.handlers import Handler
from bloge_worker.outcomes import Report, report_error, report_output


@dataclass(frozen=True, slots=True)
class RunServices:
    """What every run needs from outside."""

    clock: Callable[[], float]
    send_progress: Callable[[HeldLease, bytes], object]
    """Takes progress of a run. Called from any thread."""
    max_payload_bytes: Callable[[], int]
    """The server's limit for outputs."""
    span: Callable[[HeldLease], AbstractContextManager[RunSpan]] = run_span
    """Returns the context in which a handler runs."""


class Run:
    """A handler and the lease it works under."""

    __slots__ = ("began_at", "cancellation", "handler", "has_begun", "held", "task")

    def __init__(self, held: HeldLease, handler: Handler) -> None:
        self.held = held
        self.handler = handler
        self.cancellation = Cancellation()
        self.task: asyncio.Task[None] | None = None
        """Set for an `async` handler once it is its turn; the reference keeps it alive."""
        self.has_begun = False
        """True once the first step of the task has run: a task that is cancelled before would not run at all."""
        self.began_at: float | None = None
        """When the handler began."""

    async def execute(self, services: RunServices) -> Report | None:
        """Await the handler; return its report, or None if it was stopped."""
        self.began_at = services.clock()
        with services.span(self.held) as span:
            report = await self._awaited(services)
            span.ended(report)
        return report

    async def _awaited(self, services: RunServices) -> Report | None:
        try:
            return self._report(await self.handler.function(*self._arguments(services)), services)
        except (KeyboardInterrupt, GeneratorExit):
            raise  # The event loop's own business.
        except asyncio.CancelledError as error:
            # Without a reason of ours, something in the handler was cancelled: a failure like any other.
            return None if self.cancellation.reason is not None else report_error(self.held.token, error)
        except BaseException as error:  # noqa: BLE001 - whatever a handler raises is its outcome
            return report_error(self.held.token, error)

    def execute_blocking(self, services: RunServices) -> Report | None:
        """Call the handler; return its report, or None if the lease was over before it began."""
        if self.cancellation.reason is not None:
            return None
        self.began_at = services.clock()
        with services.span(self.held) as span:
            report = self._called(services)
            span.ended(report)
        return report

    def _called(self, services: RunServices) -> Report:
        try:
            return self._report(self.handler.function(*self._arguments(services)), services)
        except BaseException as error:  # noqa: BLE001 - whatever a handler raises is its outcome
            return report_error(self.held.token, error)

    def _report(self, output: object, services: RunServices) -> Report:
        return report_output(self.held.token, output, raw=self.handler.raw, limit=services.max_payload_bytes())

    def _arguments(self, services: RunServices) -> tuple[Any, ...]:
        payload = decode_payload(self.held.spec.payload, raw=self.handler.raw)
        context = self._context(payload, services) if "context" in self.handler.parameters else None
        return self.handler.arguments(payload, context)

    def _context(self, payload: Payload, services: RunServices) -> WorkContext:
        held = self.held
        return WorkContext(
            held.message,
            payload,
            self.cancellation,
            lambda details: services.send_progress(held, details),
            services.clock,
            held.deadline,
        )


Ended = tuple[Run, Report | None]
"""A run that has ended, with its report."""

OnEnded = Callable[[list[Ended]], object]
"""Takes runs that have ended. Called from any thread."""
