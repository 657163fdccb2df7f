"""From the declaration of a foreach to its specification, without its body."""

from bloge_orchestrator.diagnostics import Stage
from bloge_orchestrator.dsl.refused import REFUSED, refusal
from bloge_orchestrator.dsl.tree import ForeachDeclaration
from bloge_orchestrator.expressions.context import CONTEXT_NAME
from bloge_orchestrator.graph import ForeachSpec, NodeKind, NodeSpec, OnItemFailure
from bloge_orchestrator.lowering.context import FileContext
from bloge_orchestrator.lowering.fields import Fields, place_of
from bloge_orchestrator.lowering.scope import Scope

FOREACH_OPERATOR = "foreach"
"""What stands for the operator of a foreach, which has none."""

CONCURRENCY_MAX = 100_000
"""More items in work at a time than a foreach can have are a mistake."""

_SETTINGS = ("depends_on", "max_concurrency", "on_item_failure")
_REFUSED_SETTINGS = frozenset({"batch_size", *REFUSED})


def lower_foreach(declaration: ForeachDeclaration, scope: Scope, file: FileContext) -> NodeSpec:
    """Check one foreach, except what is inside, and give its specification.

    `depends_on` holds the explicit dependencies only, unchecked; the body is empty.
    """
    fields = Fields(declaration.id, declaration.settings, file.problems)
    _check_settings(declaration, file)
    _check_variables(declaration, scope, file)
    if not declaration.members and file.complete:
        message = f"foreach {declaration.id} has no node inside"
        file.problems.error(Stage.LINT, "empty-foreach", message, declaration.place, declaration.id)
    names = [variable.name for variable in declaration.variables]
    return NodeSpec(
        id=declaration.id,
        operator_ref=FOREACH_OPERATOR,
        kind=NodeKind.FOREACH,
        depends_on=tuple(dict.fromkeys(reference.name for reference in fields.names("depends_on"))),
        construct=ForeachSpec(
            items=declaration.items,
            item_name=names[0],
            index_name=names[1] if len(names) > 1 else None,
            body=(),
            max_concurrency=_max_concurrency(declaration, fields),
            on_item_failure=fields.word("on_item_failure", OnItemFailure) or OnItemFailure.FAIL,
        ),
    )


def _check_settings(declaration: ForeachDeclaration, file: FileContext) -> None:
    known = [setting for setting in declaration.settings if setting.name not in _REFUSED_SETTINGS]
    Fields(declaration.id, known, file.problems).only(_SETTINGS)
    for setting in declaration.settings:
        if setting.name in _REFUSED_SETTINGS:
            file.problems.add(refusal(setting.name, setting.place), setting.place)


def _max_concurrency(declaration: ForeachDeclaration, fields: Fields) -> int | None:
    given = fields.integer("max_concurrency", 1, CONCURRENCY_MAX)
    if declaration.sequential is False:
        return given
    if given is not None and given != 1:
        message = "`sequential` allows one item at a time; leave `max_concurrency` out, or `sequential`"
        fields.report("conflicting-fields", message, "max_concurrency", fields.place("max_concurrency"))
    return 1


def _check_variables(declaration: ForeachDeclaration, scope: Scope, file: FileContext) -> None:
    seen: set[str] = set()
    for variable in declaration.variables:
        place, name = place_of(variable), variable.name
        if name == CONTEXT_NAME:
            message = f"`{CONTEXT_NAME}` names the input of the execution; give the variable another name"
            file.problems.error(Stage.COMPILE, "reserved-id", message, place, declaration.id)
        elif name in seen or scope.declares(name):
            message = f"`{name}` is taken: it names something that the inside of {declaration.id} sees"
            file.problems.error(Stage.LINT, "duplicate-id", message, place, declaration.id)
        seen.add(name)
