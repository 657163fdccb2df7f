"""What an expression refers to, and which functions it calls."""

from collections.abc import Iterator

from bloge_orchestrator.expressions.tree import Call, Expression, Lambda, Reference, children


def free_references(expression: Expression | Lambda) -> Iterator[Reference]:
    """Give every bare name that no lambda around it binds, in the order of the source."""
    yield from _free(expression, frozenset())


def calls(expression: Expression | Lambda) -> Iterator[Call]:
    """Give every function call, in the order of the source."""
    if isinstance(expression, Call):
        yield expression
    for part in children(expression):
        yield from calls(part)


def _free(expression: Expression | Lambda, bound: frozenset[str]) -> Iterator[Reference]:
    match expression:
        case Reference(name) if name not in bound:
            yield expression
        case Lambda(parameters):
            yield from _free(expression.body, bound.union(parameters))
        case _:
            for part in children(expression):
                yield from _free(part, bound)
