"""From the declaration of a node to its specification, with every rule that needs no other node."""

from collections.abc import Collection
from enum import StrEnum

from bloge_orchestrator.diagnostics import Stage
from bloge_orchestrator.dsl.refused import REFUSED, refusal
from bloge_orchestrator.dsl.tree import Block, Clause, Entry, NodeDeclaration, Output, Setting
from bloge_orchestrator.expressions import Expression
from bloge_orchestrator.graph import BackoffStrategy, NodeKind, NodeSpec, OnDeadLetter, RetryPolicy, TypeSpec
from bloge_orchestrator.lowering.fields import NAME_PATTERN, Fields
from bloge_orchestrator.lowering.problems import Problems
from bloge_orchestrator.lowering.types import lower_type
from bloge_orchestrator.suggestions import did_you_mean

RETRY_ATTEMPTS_MAX = 1000
"""More retries than this are a mistake, not a policy."""

_SETTINGS = (
    "depends_on",
    "timeout",
    "retry",
    "fallback",
    "on_dead_letter",
    "execution_mode",
    "worker_topic",
    "scope",
)
_RETRY_FIELDS = ("attempts", "backoff", "strategy", "max_backoff", "non_retryable")
_INPUT = "input"


class ExecutionMode(StrEnum):
    """The values of `execution_mode`; a node without one runs in this process."""

    REMOTE = "REMOTE"


class Scope(StrEnum):
    """The values of `scope`: what the inside of a sub-graph sees."""

    PARENT = "PARENT"
    ISOLATED = "ISOLATED"


def lower_node(declaration: NodeDeclaration, schemas: Collection[str], problems: Problems) -> NodeSpec:
    """Check one node and give its specification; what is wrong has its default there.

    `depends_on` holds the explicit dependencies only, unchecked.
    """
    entries = declaration.entries
    settings = [entry for entry in entries if isinstance(entry, Setting)]
    fields = Fields(declaration.id, settings, problems)
    _check_settings(fields, settings)
    _check_entries(declaration, fields, problems)
    remote = _check_mode(declaration, fields)
    _check_timeout(declaration, fields, problems, remote=remote)
    return NodeSpec(
        id=declaration.id,
        operator_ref=declaration.operator.name,
        kind=NodeKind.REMOTE if remote else NodeKind.LOCAL,
        input=_input(declaration, fields),
        depends_on=tuple(dict.fromkeys(reference.name for reference in fields.names("depends_on"))),
        timeout=fields.duration("timeout"),
        retry=_retry(fields),
        fallback=fields.fallback("fallback"),
        on_dead_letter=_on_dead_letter(fields, remote=remote),
        worker_topic=_worker_topic(fields) if remote else None,
        output=_output(entries, schemas, problems),
    )


def _check_settings(fields: Fields, settings: list[Setting]) -> None:
    for setting in settings:
        if setting.name in (_INPUT, "output"):
            fields.report("wrong-type", f"write `{setting.name} {{ ... }}`, without `=`", setting.name, setting.place)
    fields.only((*_SETTINGS, _INPUT, "output"))
    fields.word("scope", Scope)


def _check_entries(declaration: NodeDeclaration, fields: Fields, problems: Problems) -> None:
    """Refuse blocks and clauses that no node has, and what is given twice."""
    if declaration.operator.subgraph:
        problems.add(refusal("subgraph", declaration.operator.place), declaration.operator.place)
    elif "scope" in fields:
        fields.warn("unused-field", "`scope` has a meaning for a sub-graph only", "scope")
    seen: set[str] = set()
    for entry in declaration.entries:
        if isinstance(entry, Setting):
            continue
        name = "output" if isinstance(entry, Output) else entry.name
        if name in seen:
            fields.report("duplicate-field", f"`{name}` is given twice; keep one", name, entry.place, stage=Stage.LINT)
        seen.add(name)
        if isinstance(entry, Clause):
            _refuse_clause(entry, fields, problems)
        elif isinstance(entry, Block) and name != _INPUT:
            _refuse_block(entry, fields, problems)


def _refuse_clause(clause: Clause, fields: Fields, problems: Problems) -> None:
    if clause.name in REFUSED:
        problems.add(refusal(clause.name, clause.place), clause.place)
    else:
        fields.report("unknown-field", f"`{clause.name} : ...` is not a part of a node", clause.name, clause.place)


def _refuse_block(block: Block, fields: Fields, problems: Problems) -> None:
    if block.name in REFUSED:
        problems.add(refusal(block.name, block.place), block.place)
    elif block.name in _SETTINGS:
        fields.report("wrong-type", f"write `{block.name} = ...`", block.name, block.place)
    else:
        hint = did_you_mean(block.name, (*_SETTINGS, _INPUT, "output"))
        fields.report("unknown-field", f"`{block.name}` is not a field{hint}", block.name, block.place)


def _check_mode(declaration: NodeDeclaration, fields: Fields) -> bool:
    """Check the rules between execution mode, worker topic and sub-graph; tell whether the node is remote."""
    remote = fields.word("execution_mode", ExecutionMode, "unknown-execution-mode") is ExecutionMode.REMOTE
    if remote and declaration.operator.subgraph:
        message = f"node {declaration.id}: a sub-graph cannot be remote; make the nodes inside it remote"
        fields.report("subgraph-remote", message, "execution_mode", fields.place("execution_mode"))
    if remote and "worker_topic" not in fields:
        message = f'node {declaration.id} is remote and needs a worker topic; add `worker_topic = "..."`'
        fields.report("remote-needs-topic", message, "execution_mode", fields.place("execution_mode"))
    if "worker_topic" in fields and "execution_mode" not in fields:
        message = f"node {declaration.id} has a worker topic but is not remote; add `execution_mode = remote`"
        fields.report("topic-needs-remote", message, "worker_topic", fields.place("worker_topic"))
    return remote


def _worker_topic(fields: Fields) -> str | None:
    topic = fields.text("worker_topic")
    if topic is None or NAME_PATTERN.fullmatch(topic):
        return topic
    message = f'"{topic[:40]}" cannot name a worker topic: use 1 to 128 letters, digits, `.`, `_` and `-`'
    fields.report("invalid-topic-name", message, "worker_topic", fields.value_place("worker_topic"))
    return None


def _check_timeout(declaration: NodeDeclaration, fields: Fields, problems: Problems, *, remote: bool) -> None:
    if "timeout" in fields:
        return
    consequence = (
        "if no worker reports, it would wait for ever" if remote else "if its operator hangs, it would run for ever"
    )
    message = f"node {declaration.id} has no timeout: {consequence}"
    problems.warning(Stage.LINT, "missing-timeout", message, declaration.place, declaration.id, "timeout")


def _on_dead_letter(fields: Fields, *, remote: bool) -> OnDeadLetter:
    choice = fields.word("on_dead_letter", OnDeadLetter)
    if "on_dead_letter" in fields and not remote:
        fields.warn("unused-field", "`on_dead_letter` has a meaning for a remote node only", "on_dead_letter")
    return choice or OnDeadLetter.KEEP_SUSPENDED


def _retry(fields: Fields) -> RetryPolicy:
    retry = fields.nested("retry")
    if retry is None:
        return RetryPolicy()
    retry.only(_RETRY_FIELDS)
    if "attempts" not in retry:
        message = "`retry` needs `attempts`, the number of retries"
        fields.report("missing-field", message, "retry", fields.place("retry"))
    standard = RetryPolicy()
    backoff = retry.duration("backoff", zero=True)
    max_backoff = retry.duration("max_backoff")
    if backoff is not None and max_backoff is not None and max_backoff < backoff:
        message = "`retry.max_backoff` must not be less than `retry.backoff`"
        retry.report("out-of-range", message, "max_backoff", retry.value_place("max_backoff"))
    return RetryPolicy(
        attempts=retry.integer("attempts", 0, RETRY_ATTEMPTS_MAX) or 0,
        backoff=standard.backoff if backoff is None else backoff,
        strategy=retry.word("strategy", BackoffStrategy) or standard.strategy,
        max_backoff=max_backoff,
        non_retryable=retry.texts("non_retryable"),
    )


def _input(declaration: NodeDeclaration, fields: Fields) -> dict[str, Expression]:
    inputs: dict[str, Expression] = {}
    for block in declaration.entries:
        if not isinstance(block, Block) or block.name != _INPUT:
            continue
        for setting in block.settings:
            if setting.name in inputs:
                message = f"`input.{setting.name}` is given twice; keep one"
                fields.report("duplicate-field", message, f"input.{setting.name}", setting.place, stage=Stage.LINT)
            inputs.setdefault(setting.name, setting.value)
    return inputs


def _output(entries: tuple[Entry, ...], schemas: Collection[str], problems: Problems) -> TypeSpec | None:
    outputs = [entry for entry in entries if isinstance(entry, Output)]
    return lower_type(outputs[0].type, schemas, problems) if outputs else None
