# ruff: noqa: D102 - each method is named after the grammar rule it reads, which documents it
"""From the parser's tree to declarations."""

from collections.abc import Mapping
from dataclasses import replace

from lark import Token, v_args
from lark.tree import Meta

from bloge_orchestrator.diagnostics import Diagnostic
from bloge_orchestrator.dsl.expression_builder import ExpressionBuilder, ParseHole
from bloge_orchestrator.dsl.source import Place, SourceText
from bloge_orchestrator.dsl.tree import (
    Block,
    Clause,
    Entry,
    GraphDeclaration,
    ListType,
    MemberDeclaration,
    NamedType,
    NodeDeclaration,
    ObjectType,
    OperatorReference,
    Output,
    PortsDeclaration,
    Projection,
    SchemaDeclaration,
    Setting,
    TransformDeclaration,
    TypeDeclaration,
    TypedField,
)
from bloge_orchestrator.expressions import Expression


@v_args(inline=True, meta=True)
class TreeBuilder(ExpressionBuilder):
    """Has one method for each rule of the graph grammar."""

    def __init__(
        self, source: SourceText, parse_hole: ParseHole, docs: Mapping[int, str], problems: list[Diagnostic]
    ) -> None:
        super().__init__(source, parse_hole, problems)
        self._docs = docs

    def graph(self, meta: Meta, _: Token, name: Token, *members: MemberDeclaration) -> GraphDeclaration:
        return GraphDeclaration(str(name), members, _place(name), doc=self._doc(meta))

    # ---- nodes ----

    def node(self, meta: Meta, _: Token, name: Token, operator: OperatorReference, *entries: Entry) -> NodeDeclaration:
        return NodeDeclaration(str(name), operator, entries, _place(name), doc=self._doc(meta))

    def operator_name(self, _: Meta, first: Token, *rest: Token) -> OperatorReference:
        return OperatorReference(".".join([first, *rest]), _place(first))

    def subgraph(self, _: Meta, keyword: Token, name: Token) -> OperatorReference:
        return OperatorReference(self.key(name), _place(keyword), subgraph=True)

    def setting(self, _: Meta, name: Token, value: Expression) -> Setting:
        return Setting(str(name), value, _place(name))

    def block(self, _: Meta, name: Token, *settings: Setting) -> Block:
        return Block(str(name), settings, _place(name))

    def output(self, _: Meta, keyword: Token, declared: TypeDeclaration) -> Output:
        return Output(declared, _place(keyword))

    def clause(self, _: Meta, name: Token, *_rest: Token | Entry) -> Clause:
        return Clause(str(name), _place(name))

    # ---- transforms ----

    def transformation(self, meta: Meta, _: Token, name: Token, *projections: Projection) -> TransformDeclaration:
        return TransformDeclaration(str(name), projections, _place(name), doc=self._doc(meta))

    def local(self, _: Meta, _keyword: Token, name: Token, value: Expression) -> Projection:
        return Projection(str(name), value, _place(name), local=True)

    def projection(self, _: Meta, name: Token, declared: TypeDeclaration | None, value: Expression) -> Projection:
        return Projection(str(name), value, _place(name), type=declared)

    # ---- declared types ----

    def schema(self, meta: Meta, _: Token, name: Token, declared: ObjectType) -> SchemaDeclaration:
        return SchemaDeclaration(str(name), declared, _place(name), doc=self._doc(meta))

    def ports(self, _: Meta, keyword: Token, declared: ObjectType) -> PortsDeclaration:
        return PortsDeclaration(str(keyword), declared, _place(keyword))

    def fields(self, meta: Meta, *fields: TypedField) -> ObjectType:
        return ObjectType(fields, optional=False, place=Place(meta.line, meta.column))

    def field(self, _: Meta, name: Token, declared: TypeDeclaration) -> TypedField:
        return TypedField(str(name), declared, _place(name))

    def named_type(self, meta: Meta, name: Token) -> NamedType:
        return NamedType(str(name), optional=False, place=Place(meta.line, meta.column))

    def object_type(self, _: Meta, declared: ObjectType) -> ObjectType:
        return declared

    def list_type(self, meta: Meta, items: TypeDeclaration) -> ListType:
        return ListType(items, optional=False, place=Place(meta.line, meta.column))

    def optional_type(self, _: Meta, declared: TypeDeclaration) -> TypeDeclaration:
        return replace(declared, optional=True)

    def _doc(self, meta: Meta) -> str:
        return self._docs.get(meta.start_pos, "")


def _place(token: Token) -> Place:
    assert token.line is not None
    assert token.column is not None
    return Place(token.line, token.column)
