"""From declared types to their specification. Types are recorded and shown; values are not checked against them."""

from collections.abc import Collection

from bloge_orchestrator.diagnostics import Stage
from bloge_orchestrator.dsl.tree import ListType, NamedType, ObjectType, TypeDeclaration
from bloge_orchestrator.graph import TypeSpec
from bloge_orchestrator.lowering.problems import Problems
from bloge_orchestrator.suggestions import did_you_mean

SCALARS = ("String", "Int", "Number", "Boolean")


def lower_type(declaration: TypeDeclaration, schemas: Collection[str], problems: Problems) -> TypeSpec:
    """Check a declared type and give its specification."""
    known = (*SCALARS, *schemas)
    return _lower(declaration, known, problems)


def _lower(declaration: TypeDeclaration, known: Collection[str], problems: Problems) -> TypeSpec:
    match declaration:
        case NamedType(name, optional):
            _check_name(declaration, known, problems)
            return TypeSpec(name=name, optional=optional)
        case ListType(items, optional):
            return TypeSpec(items=_lower(items, known, problems), optional=optional)
        case ObjectType():
            return _lower_object(declaration, known, problems)


def _lower_object(declaration: ObjectType, known: Collection[str], problems: Problems) -> TypeSpec:
    fields: dict[str, TypeSpec] = {}
    for field in declaration.fields:
        if field.name in fields:
            message = f"`{field.name}` is declared twice; keep one"
            problems.error(Stage.LINT, "duplicate-field", message, field.place, field=field.name)
        fields.setdefault(field.name, _lower(field.type, known, problems))
    return TypeSpec(fields=fields, optional=declaration.optional)


def _check_name(declaration: NamedType, known: Collection[str], problems: Problems) -> None:
    if declaration.name not in known:
        message = f"type {declaration.name} is neither a scalar nor a schema{did_you_mean(declaration.name, known)}"
        problems.warning(Stage.COMPILE, "unknown-type", message, declaration.place)
