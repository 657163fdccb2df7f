"""Handlers: how they are registered, found and called."""

import inspect
import os
import types
import typing
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from bloge_worker._inputs import binder_for
from bloge_worker._payload import Payload
from bloge_worker._scalars import Binder
from bloge_worker.config import check_topic
from bloge_worker.context import WorkContext
from bloge_worker.errors import HandlerError

Executor = Literal["async", "thread", "process"]
"""Where a handler runs: on the worker's event loop, in a thread, or in a process that can be killed."""

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


@dataclass(frozen=True, slots=True, eq=False)
class Handler:
    """A registered function."""

    worker_topic: str
    operator: str | None
    """None: any operator of the topic that has no handler of its own."""
    function: Callable[..., Any]
    executor: Executor
    concurrency: int | None
    """How many items it runs at once; None: as many as the worker has slots."""
    raw: bool
    """True: the input is the payload's bytes, and bytes that it returns are the output as they are."""
    parameters: tuple[Literal["input", "context"], ...]
    """What the function takes, in order."""
    bind: Binder | None
    """Turns decoded JSON into the annotated type; None if the function takes it as it is."""

    @property
    def most_runs(self) -> int | None:
        """How many items it can run at once; None: as many as the worker has slots."""
        if self.concurrency is None and self.executor == "process":
            return os.cpu_count() or 1
        return self.concurrency

    def arguments(self, payload: Payload, context: WorkContext | None) -> tuple[Any, ...]:
        """Return what to call the function with.

        Args:
            payload: what came with the item.
            context: of the run; None will do for a function that takes none.

        Raises:
            PayloadError: the input does not fit the annotated type.
        """
        value = payload.input if self.bind is None else self.bind(payload.input, "input")
        match self.parameters:
            case ("input", "context"):
                return value, context
            case ("context", "input"):
                return context, value
            case ("input",):
                return (value,)
            case ("context",):
                return (context,)
            case _:
                return ()


class HandlerRegistry:
    """The handlers of one worker, by topic and operator."""

    def __init__(self) -> None:
        self._handlers: dict[tuple[str, str | None], Handler] = {}
        self._topics_with_operators: set[str] = set()

    def __iter__(self) -> Iterator[Handler]:
        """Iterate over all handlers."""
        return iter(self._handlers.values())

    def add(self, handler: Handler) -> None:
        """Register a handler.

        Raises:
            HandlerError: there is one for the same topic and operator.
        """
        key = (handler.worker_topic, handler.operator)
        if key in self._handlers:
            raise HandlerError(f"topic {key[0]!r}, operator {key[1] or 'any'!r}: there is a handler already")
        self._handlers[key] = handler
        if handler.operator is not None:
            self._topics_with_operators.add(handler.worker_topic)

    def find(self, worker_topic: str, operator: str) -> Handler | None:
        """Return the handler of an operator, else the topic's handler for any, else None."""
        return self._handlers.get((worker_topic, operator)) or self._handlers.get((worker_topic, None))

    def tells_operators_apart(self, worker_topic: str) -> bool:
        """Tell whether a topic has a handler for one operator only."""
        return worker_topic in self._topics_with_operators

    def capacity(self, slots: int) -> int:
        """Return how many items are worth holding at once: no more than the handlers' limits let run."""
        return min(slots, sum(self.topic_limits(slots).values()))

    def topic_limits(self, slots: int) -> dict[str, int]:
        """Return the topics, sorted, with how many items of each are worth holding at once."""
        limits = dict.fromkeys(self.topics(), 0)
        for handler in self:
            limits[handler.worker_topic] += handler.most_runs or slots
        return {topic: min(limit, slots) for topic, limit in limits.items()}

    def topics(self) -> list[str]:
        """Return the topics that have handlers, sorted."""
        return sorted({topic for topic, _ in self._handlers})


def make_handler(
    function: Callable[..., Any],
    worker_topic: str,
    *,
    operator: str | None = None,
    executor: Executor | None = None,
    concurrency: int | None = None,
    raw: bool = False,
) -> Handler:
    """Describe a function as a handler; `Worker.handler` explains the arguments.

    Raises:
        ConfigError: the topic's name is malformed.
        HandlerError: the function cannot be called as a handler, or not by that executor.
    """
    check_topic(worker_topic)
    if concurrency is not None and concurrency < 1:
        raise HandlerError(f"{_name(function)}: concurrency {concurrency}; at least 1, or None")
    if operator is not None and not operator:
        raise HandlerError(f"{_name(function)}: operator is empty; name one, or leave it out for any")
    parameters, annotation = _parameters(function)
    return Handler(
        worker_topic=worker_topic,
        operator=operator,
        function=function,
        executor=_executor(function, executor),
        concurrency=concurrency,
        raw=raw,
        parameters=parameters,
        bind=None if raw else _binder(function, annotation),
    )


def _binder(function: Callable[..., Any], annotation: Any) -> Binder | None:  # noqa: ANN401 - an annotation
    try:
        return binder_for(annotation)
    except NameError as error:
        raise _not_evaluated(function, error) from error


def _executor(function: Callable[..., Any], wanted: Executor | None) -> Executor:
    is_async = any(inspect.iscoroutinefunction(each) for each in (function, type(function).__call__))
    natural: Executor = "async" if is_async else "thread"
    if wanted not in (None, "async", "thread", "process"):
        raise HandlerError(f"{_name(function)}: executor {wanted!r}; one of async, thread, process")
    if wanted is not None and (wanted == "async") != is_async:
        raise HandlerError(
            f"{_name(function)}: executor {wanted!r} needs {'async def' if wanted == 'async' else 'a plain def'}"
        )
    return wanted or natural


def _parameters(function: Callable[..., Any]) -> tuple[tuple[Literal["input", "context"], ...], Any]:
    """Tell input from context by annotation and name; return the order, and the input's annotation."""
    hints = _hints(function)
    kinds: list[Literal["input", "context"]] = []
    annotation: Any = None
    for parameter in inspect.signature(function).parameters.values():
        is_context = parameter.name == "ctx" or hints.get(parameter.name) is WorkContext
        kind: Literal["input", "context"] = "context" if is_context else "input"
        if parameter.kind in _POSITIONAL and kind not in kinds:
            kinds.append(kind)
            annotation = annotation if is_context else hints.get(parameter.name)
        elif not _is_optional(parameter):
            raise HandlerError(
                f"{_name(function)}: unexpected parameter {parameter.name!r}; "
                "a handler takes the input and, named `ctx` or annotated WorkContext, the context"
            )
    return tuple(kinds), annotation


def _is_optional(parameter: inspect.Parameter) -> bool:
    variadic = parameter.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return variadic or parameter.default is not inspect.Parameter.empty


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    """Return the evaluated annotations of the parameters; what is returned is nobody's business here."""
    target = function if inspect.isroutine(function) else type(function).__call__
    annotations = {name: each for name, each in inspect.get_annotations(target).items() if name != "return"}
    scope = getattr(inspect.unwrap(target), "__globals__", {})
    try:
        return typing.get_type_hints(types.SimpleNamespace(__annotations__=annotations), globalns=scope)
    except NameError as error:
        raise _not_evaluated(function, error) from error


def _not_evaluated(function: Callable[..., Any], error: NameError) -> HandlerError:
    return HandlerError(
        f"{_name(function)}: the input's annotation cannot be evaluated: {error}; "
        "define or import the type at the top of the module, and not for type checking only"
    )


def _name(function: Callable[..., Any]) -> str:
    return f"handler {getattr(function, '__qualname__', repr(function))}"
