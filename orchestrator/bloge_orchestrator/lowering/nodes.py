"""From the declaration of a node to its specification, with every rule that needs no other node."""

from collections.abc import Collection
from enum import StrEnum

from bloge_orchestrator.diagnostics import Stage
from bloge_orchestrator.dsl.refused import REFUSED, refusal
from bloge_orchestrator.dsl.source import Place
from bloge_orchestrator.dsl.tree import Block, Clause, Entry, NodeDeclaration, Output, Setting
from bloge_orchestrator.expressions import Expression
from bloge_orchestrator.graph import (
    BackoffStrategy,
    NodeKind,
    NodeSpec,
    OnDeadLetter,
    RetryPolicy,
    SubgraphScope,
    TypeSpec,
)
from bloge_orchestrator.lowering.context import FileContext
from bloge_orchestrator.lowering.fields import NAME_PATTERN, Fields
from bloge_orchestrator.lowering.problems import Problems
from bloge_orchestrator.lowering.types import lower_type
from bloge_orchestrator.operators import OperatorRegistry
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


def lower_node(declaration: NodeDeclaration, file: FileContext) -> NodeSpec:
    """Check one node and give its specification; what is wrong has its default there.

    `depends_on` holds the explicit dependencies only, unchecked; a sub-graph has no graph yet.
    """
    problems = file.problems
    settings = [entry for entry in declaration.entries if isinstance(entry, Setting)]
    fields = Fields(declaration.id, settings, problems)
    subgraph = file.subgraphs.is_named(declaration.operator)
    _check_settings(fields, settings)
    _check_entries(declaration, fields, problems)
    remote = _check_mode(declaration, fields, subgraph=subgraph)
    kind = NodeKind.SUBGRAPH if subgraph else NodeKind.REMOTE if remote else NodeKind.LOCAL
    _check_kind(declaration, fields, kind)
    _check_timeout(declaration, kind, fields, problems)
    node = NodeSpec(
        id=declaration.id,
        operator_ref=declaration.operator.name,
        kind=kind,
        input=_input(declaration, fields),
        depends_on=tuple(dict.fromkeys(reference.name for reference in fields.names("depends_on"))),
        timeout=fields.duration("timeout"),
        retry=_retry(fields),
        fallback=fields.fallback("fallback"),
        on_dead_letter=_on_dead_letter(fields),
        worker_topic=_worker_topic(fields) if kind is NodeKind.REMOTE else None,
        output=_output(declaration.entries, file.schemas, problems),
    )
    check_operator(node, declaration.operator.place, file.registry, problems)
    return node


def check_operator(node: NodeSpec, place: Place | None, registry: OperatorRegistry | None, problems: Problems) -> None:
    """Look the operator of a local node up, if there is a registry."""
    if registry is None or node.kind is not NodeKind.LOCAL or registry.lookup(node.operator_ref) is not None:
        return
    message = f"operator {node.operator_ref} is not registered{did_you_mean(node.operator_ref, registry.names())}"
    problems.error(Stage.COMPILE, "unknown-operator", message, place, node.id)


def scope_of(declaration: NodeDeclaration) -> SubgraphScope:
    """Give what the inside of a sub-graph sees; what is wrong is told by `lower_node`."""
    settings = [entry for entry in declaration.entries if isinstance(entry, Setting) and entry.name == "scope"]
    return Fields(declaration.id, settings, Problems()).word("scope", SubgraphScope) or SubgraphScope.ISOLATED


def _check_settings(fields: Fields, settings: list[Setting]) -> None:
    for setting in settings:
        if setting.name in (_INPUT, "output"):
            fields.report("wrong-type", f"write `{setting.name} {{ ... }}`, without `=`", setting.name, setting.place)
    fields.only((*_SETTINGS, _INPUT, "output"))
    fields.word("scope", SubgraphScope)


def _check_entries(declaration: NodeDeclaration, fields: Fields, problems: Problems) -> None:
    """Refuse blocks and clauses that no node has, and what is given twice."""
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


def _check_mode(declaration: NodeDeclaration, fields: Fields, *, subgraph: bool) -> bool:
    """Check the rules between execution mode, worker topic and sub-graph; tell whether the node is remote."""
    remote = fields.word("execution_mode", ExecutionMode, "unknown-execution-mode") is ExecutionMode.REMOTE
    if remote and subgraph:
        message = f"node {declaration.id}: a sub-graph cannot be remote; make the nodes inside it remote"
        fields.report("subgraph-remote", message, "execution_mode", fields.place("execution_mode"))
    if remote and "worker_topic" not in fields:
        message = f'node {declaration.id} is remote and needs a worker topic; add `worker_topic = "..."`'
        fields.report("remote-needs-topic", message, "execution_mode", fields.place("execution_mode"))
    if "worker_topic" in fields and "execution_mode" not in fields:
        message = f"node {declaration.id} has a worker topic but is not remote; add `execution_mode = remote`"
        fields.report("topic-needs-remote", message, "worker_topic", fields.place("worker_topic"))
    return remote


def _check_kind(declaration: NodeDeclaration, fields: Fields, kind: NodeKind) -> None:
    """Check what only some kinds of node can have."""
    if "scope" in fields and kind is not NodeKind.SUBGRAPH:
        fields.warn("unused-field", "`scope` has a meaning for a sub-graph only", "scope")
    if "on_dead_letter" in fields and kind is not NodeKind.REMOTE:
        fields.warn("unused-field", "`on_dead_letter` has a meaning for a remote node only", "on_dead_letter")
    for entry in declaration.entries:
        if isinstance(entry, Output) and kind is NodeKind.SUBGRAPH:
            message = "a sub-graph gives what its terminal nodes give; declare the output there"
            fields.report("wrong-type", message, "output", entry.place)


def _worker_topic(fields: Fields) -> str | None:
    topic = fields.text("worker_topic")
    if topic is None or NAME_PATTERN.fullmatch(topic):
        return topic
    message = f'"{topic[:40]}" cannot name a worker topic: use 1 to 128 letters, digits, `.`, `_` and `-`'
    fields.report("invalid-topic-name", message, "worker_topic", fields.value_place("worker_topic"))
    return None


def _check_timeout(declaration: NodeDeclaration, kind: NodeKind, fields: Fields, problems: Problems) -> None:
    """Warn of a node that could take for ever; in a sub-graph that is up to the nodes inside."""
    if "timeout" in fields or kind is NodeKind.SUBGRAPH:
        return
    remote = kind is NodeKind.REMOTE
    consequence = (
        "if no worker reports, it would wait for ever" if remote else "if its operator hangs, it would run for ever"
    )
    message = f"node {declaration.id} has no timeout: {consequence}"
    problems.warning(Stage.LINT, "missing-timeout", message, declaration.place, declaration.id, "timeout")


def _on_dead_letter(fields: Fields) -> OnDeadLetter:
    return fields.word("on_dead_letter", OnDeadLetter) or OnDeadLetter.KEEP_SUSPENDED


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
