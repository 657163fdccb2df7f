"""From the declaration of a branch to its specification."""

from collections.abc import Iterable
from enum import StrEnum

from bloge_orchestrator.diagnostics import Stage
from bloge_orchestrator.dsl.source import Place
from bloge_orchestrator.dsl.tree import BranchDeclaration, Choice
from bloge_orchestrator.expressions import Expression
from bloge_orchestrator.expressions.static import NotStaticError, static_value
from bloge_orchestrator.expressions.values import identity
from bloge_orchestrator.graph import BranchArm, BranchSpec, NodeKind, NodeSpec
from bloge_orchestrator.lowering.context import FileContext
from bloge_orchestrator.lowering.fields import place_of
from bloge_orchestrator.suggestions import did_you_mean, listed

BRANCH_OPERATOR = "branch"
"""What stands for the operator of a branch, which has none."""


class BranchMode(StrEnum):
    """The values of `mode`; a branch without one is exclusive."""

    EXCLUSIVE = "exclusive"
    INCLUSIVE = "inclusive"


def branch_id(number: int) -> str:
    """Give the id of a branch, which the language does not name: its number in its scope, from 1.

    A `-` can stand in no id of the language, so the id is nobody else's.
    """
    return f"branch-{number}"


def lower_branch(declaration: BranchDeclaration, node_id: str, file: FileContext) -> NodeSpec:
    """Check one branch and give its specification, its targets unchecked."""
    mode = _mode(declaration, node_id, file)
    if not declaration.choices:
        message = "a branch needs at least one arm, such as `true -> node`"
        file.problems.error(Stage.COMPILE, "empty-branch", message, declaration.place, node_id)
    _check_repeated(declaration, node_id, file)
    arms = tuple(BranchArm(choice.value, _names(choice)) for choice in declaration.choices if choice.value is not None)
    otherwise = tuple(name for choice in declaration.choices if choice.value is None for name in _names(choice))
    return NodeSpec(
        id=node_id,
        operator_ref=BRANCH_OPERATOR,
        kind=NodeKind.BRANCH,
        construct=BranchSpec(declaration.subject, arms, otherwise, inclusive=mode is BranchMode.INCLUSIVE),
    )


def places_of_targets(declaration: BranchDeclaration) -> dict[str, Place | None]:
    """Give where each target is first named."""
    targets = [target for choice in declaration.choices for target in choice.targets]
    return {target.name: place_of(target) for target in reversed(targets)}


def _mode(declaration: BranchDeclaration, node_id: str, file: FileContext) -> BranchMode:
    word = declaration.mode
    if word is None:
        return BranchMode.EXCLUSIVE
    known = [mode.value for mode in BranchMode]
    if word.name in known:
        return BranchMode(word.name)
    message = f"`mode` must be {listed(known)}, got {word.name}{did_you_mean(word.name, known)}"
    file.problems.error(Stage.COMPILE, "unknown-branch-mode", message, place_of(word), node_id, "mode")
    return BranchMode.EXCLUSIVE


def _check_repeated(declaration: BranchDeclaration, node_id: str, file: FileContext) -> None:
    """Warn of an arm that an earlier one with the same value hides."""
    if declaration.mode is not None and declaration.mode.name == BranchMode.INCLUSIVE:
        return
    seen: set[object] = set()
    for value in _values(declaration.choices):
        try:
            key = identity(static_value(value))
        except NotStaticError:
            continue
        if key in seen:
            message = "an arm with the same value stands above: this one is never chosen"
            file.problems.warning(Stage.LINT, "unreachable-arm", message, place_of(value), node_id, "arm")
        seen.add(key)


def _values(choices: Iterable[Choice]) -> list[Expression]:
    return [choice.value for choice in choices if choice.value is not None]


def _names(choice: Choice) -> tuple[str, ...]:
    return tuple(dict.fromkeys(target.name for target in choice.targets))
