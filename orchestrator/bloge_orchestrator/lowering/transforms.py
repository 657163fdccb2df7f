"""From the declaration of a transform to its specification."""

from collections.abc import Collection

from bloge_orchestrator.diagnostics import Stage
from bloge_orchestrator.dsl.tree import Projection, TransformDeclaration
from bloge_orchestrator.expressions import Expression
from bloge_orchestrator.graph import NodeKind, NodeSpec, TypeSpec
from bloge_orchestrator.lowering.problems import Problems
from bloge_orchestrator.lowering.types import lower_type

TRANSFORM_OPERATOR = "transform"
"""What stands for the operator of a transform, which has none."""


def lower_transform(declaration: TransformDeclaration, schemas: Collection[str], problems: Problems) -> NodeSpec:
    """Check one transform and give its specification."""
    locals_ = [projection for projection in declaration.projections if projection.local]
    fields = [projection for projection in declaration.projections if not projection.local]
    return NodeSpec(
        id=declaration.id,
        operator_ref=TRANSFORM_OPERATOR,
        kind=NodeKind.TRANSFORM,
        input=_unique(declaration, fields, problems),
        locals=_unique(declaration, locals_, problems),
        output=_declared(fields, schemas, problems),
    )


def _unique(
    declaration: TransformDeclaration, projections: list[Projection], problems: Problems
) -> dict[str, Expression]:
    expressions: dict[str, Expression] = {}
    for projection in projections:
        if projection.name in expressions:
            message = f"`{projection.name}` is given twice; keep one"
            problems.error(Stage.LINT, "duplicate-field", message, projection.place, declaration.id, projection.name)
        expressions.setdefault(projection.name, projection.value)
    return expressions


def _declared(fields: list[Projection], schemas: Collection[str], problems: Problems) -> TypeSpec | None:
    typed = {field.name: lower_type(field.type, schemas, problems) for field in fields if field.type is not None}
    return TypeSpec(fields=typed) if typed else None
