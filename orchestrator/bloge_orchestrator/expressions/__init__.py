"""Expressions: their syntax tree, their canonical text, what they refer to, and their evaluation."""

from bloge_orchestrator.expressions.tree import (
    Array,
    Binary,
    Call,
    Conditional,
    Duration,
    Expression,
    Index,
    Lambda,
    Literal,
    Member,
    Object,
    Reference,
    Template,
    Unary,
    When,
    children,
)

__all__ = [
    "Array",
    "Binary",
    "Call",
    "Conditional",
    "Duration",
    "Expression",
    "Index",
    "Lambda",
    "Literal",
    "Member",
    "Object",
    "Reference",
    "Template",
    "Unary",
    "When",
    "children",
]
