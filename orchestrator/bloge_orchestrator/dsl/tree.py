"""The syntax tree of a graph, as written: nothing is checked yet, and every part knows where it stands."""

from dataclasses import dataclass
from typing import TypeAlias

from bloge_orchestrator.dsl.source import Place
from bloge_orchestrator.expressions import Expression, Reference
from bloge_orchestrator.graph import GraphSpec


@dataclass(frozen=True, slots=True)
class Setting:
    """`name = expression`, in a node or in one of its blocks. `place` is None if it was written in Python."""

    name: str
    value: Expression
    place: Place | None


@dataclass(frozen=True, slots=True)
class Block:
    """`name { field = expression ... }`."""

    name: str
    settings: tuple[Setting, ...]
    place: Place | None


@dataclass(frozen=True, slots=True)
class Clause:
    """`name : Operator { ... }` inside a node; the form is known, but no clause is supported."""

    name: str
    place: Place | None


@dataclass(frozen=True, slots=True)
class NamedType:
    """A scalar or the name of a schema."""

    name: str
    optional: bool
    place: Place | None


@dataclass(frozen=True, slots=True)
class ObjectType:
    """`{ field: Type ... }`."""

    fields: "tuple[TypedField, ...]"
    optional: bool
    place: Place | None


@dataclass(frozen=True, slots=True)
class ListType:
    """`[Type]`."""

    items: "TypeDeclaration"
    optional: bool
    place: Place | None


TypeDeclaration: TypeAlias = NamedType | ObjectType | ListType


@dataclass(frozen=True, slots=True)
class TypedField:
    """`name: Type`."""

    name: str
    type: TypeDeclaration
    place: Place | None


@dataclass(frozen=True, slots=True)
class Output:
    """`output { ... }` or `output : Type` inside a node."""

    type: TypeDeclaration
    place: Place | None


Entry: TypeAlias = Setting | Block | Clause | Output


@dataclass(frozen=True, slots=True)
class OperatorReference:
    """What stands behind the colon of a node: an operator's name, or `subgraph("name")`.

    `graph` is the sub-graph itself if it was given in Python, declared or already checked.
    """

    name: str
    place: Place | None
    subgraph: bool = False
    graph: "GraphDeclaration | GraphSpec | None" = None


@dataclass(frozen=True, slots=True)
class NodeDeclaration:
    """`node id : Operator { ... }`."""

    id: str
    operator: OperatorReference
    entries: tuple[Entry, ...]
    place: Place | None
    doc: str = ""


@dataclass(frozen=True, slots=True)
class Choice:
    """`value -> target` or `value -> [target, target]` inside a branch; `value` is None for `otherwise`."""

    value: Expression | None
    targets: tuple[Reference, ...]
    place: Place | None


@dataclass(frozen=True, slots=True)
class BranchDeclaration:
    """`branch on subject { choices }`; `mode` is the word behind `mode=`, if there is one."""

    subject: Expression
    choices: tuple[Choice, ...]
    place: Place | None
    mode: Reference | None = None
    doc: str = ""


@dataclass(frozen=True, slots=True)
class ForeachDeclaration:
    """`foreach id : item in items { settings, members }`; `variables` are the item and, if wanted, its index."""

    id: str
    variables: tuple[Reference, ...]
    items: Expression
    settings: tuple[Setting, ...]
    members: "tuple[StepDeclaration, ...]"
    place: Place | None
    sequential: Place | bool = False
    """Where the word stands; True if it was said in Python, False if it was not said."""
    doc: str = ""


@dataclass(frozen=True, slots=True)
class Projection:
    """`let name = expression` or `name: Type = expression` inside a transform."""

    name: str
    value: Expression
    place: Place | None
    local: bool = False
    type: TypeDeclaration | None = None


@dataclass(frozen=True, slots=True)
class TransformDeclaration:
    """`transform id { ... }`."""

    id: str
    projections: tuple[Projection, ...]
    place: Place | None
    doc: str = ""


@dataclass(frozen=True, slots=True)
class SchemaDeclaration:
    """`schema Name { ... }`."""

    name: str
    type: ObjectType
    place: Place | None
    doc: str = ""


@dataclass(frozen=True, slots=True)
class PortsDeclaration:
    """`input { ... }` or `output { ... }` of the graph."""

    name: str
    type: ObjectType
    place: Place | None


StepDeclaration: TypeAlias = NodeDeclaration | BranchDeclaration | ForeachDeclaration | TransformDeclaration
"""A member that something happens to when the graph runs: what a foreach may hold too."""

MemberDeclaration: TypeAlias = StepDeclaration | SchemaDeclaration | PortsDeclaration


@dataclass(frozen=True, slots=True)
class ImportDeclaration:
    """`import "path" as alias`, above the graph."""

    path: str
    alias: str
    place: Place | None
    path_place: Place | None


@dataclass(frozen=True, slots=True)
class GraphDeclaration:
    """`graph name { members }`. `complete` is False if members are missing because they could not be read."""

    name: str
    members: tuple[MemberDeclaration, ...]
    place: Place | None
    doc: str = ""
    complete: bool = True
    imports: tuple[ImportDeclaration, ...] = ()
