"""The syntax tree of a graph, as written: nothing is checked yet, and every part knows where it stands."""

from dataclasses import dataclass
from typing import TypeAlias

from bloge_orchestrator.dsl.source import Place
from bloge_orchestrator.expressions import Expression


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
    """What stands behind the colon of a node: an operator's name, or `subgraph("name")`."""

    name: str
    place: Place | None
    subgraph: bool = False


@dataclass(frozen=True, slots=True)
class NodeDeclaration:
    """`node id : Operator { ... }`."""

    id: str
    operator: OperatorReference
    entries: tuple[Entry, ...]
    place: Place | None
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


MemberDeclaration: TypeAlias = NodeDeclaration | TransformDeclaration | SchemaDeclaration | PortsDeclaration


@dataclass(frozen=True, slots=True)
class GraphDeclaration:
    """`graph name { members }`. `complete` is False if members are missing because they could not be read."""

    name: str
    members: tuple[MemberDeclaration, ...]
    place: Place | None
    doc: str = ""
    complete: bool = True
