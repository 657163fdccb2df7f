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
    BranchDeclaration,
    Choice,
    Clause,
    Entry,
    ForeachDeclaration,
    GraphDeclaration,
    ImportDeclaration,
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
    StepDeclaration,
    TransformDeclaration,
    TypeDeclaration,
    TypedField,
)
from bloge_orchestrator.expressions import Expression, Reference


@v_args(inline=True, meta=True)
class TreeBuilder(ExpressionBuilder):
    """Has one method for each rule of the graph grammar."""

    def __init__(
        self, source: SourceText, parse_hole: ParseHole, docs: Mapping[int, str], problems: list[Diagnostic]
    ) -> None:
        super().__init__(source, parse_hole, problems)
        self._docs = docs

    def file(self, _: Meta, *parts: ImportDeclaration | GraphDeclaration) -> GraphDeclaration:
        *imports, graph = parts
        assert isinstance(graph, GraphDeclaration)
        return replace(graph, imports=tuple(each for each in imports if isinstance(each, ImportDeclaration)))

    def import_graph(self, _: Meta, keyword: Token, path: Token, _as: Token, alias: Token) -> ImportDeclaration:
        return ImportDeclaration(self.key(path), str(alias), _place(keyword), _place(path))

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

    # ---- branches and loops ----

    def branch(
        self, meta: Meta, _: Token, mode: Reference | None, _on: Token, subject: Expression, *choices: Choice | None
    ) -> BranchDeclaration:
        taken = tuple(choice for choice in choices if choice is not None)
        return BranchDeclaration(subject, taken, Place(meta.line, meta.column), mode, doc=self._doc(meta))

    def mode(self, _: Meta, _keyword: Token, word: Token) -> Reference:
        return _reference(word)

    def choice(self, meta: Meta, value: Expression, _: Token, *targets: Token) -> Choice:
        return Choice(value, tuple(map(_reference, targets)), Place(meta.line, meta.column))

    def other_choice(self, meta: Meta, _keyword: Token, _: Token, *targets: Token) -> Choice:
        return Choice(None, tuple(map(_reference, targets)), Place(meta.line, meta.column))

    def foreach(self, meta: Meta, head: ForeachDeclaration, *entries: Setting | StepDeclaration) -> ForeachDeclaration:
        settings = tuple(entry for entry in entries if isinstance(entry, Setting))
        members = tuple(entry for entry in entries if not isinstance(entry, Setting))
        return replace(head, settings=settings, members=members, doc=self._doc(meta))

    def foreach_head(
        self,
        _: Meta,
        _keyword: Token,
        name: Token,
        variables: tuple[Reference, ...],
        _in: Token,
        items: Expression,
        sequential: Token | None,
    ) -> ForeachDeclaration:
        said = False if sequential is None else _place(sequential)
        return ForeachDeclaration(str(name), variables, items, (), (), _place(name), said)

    def variables(self, _: Meta, *names: Token) -> tuple[Reference, ...]:
        return tuple(map(_reference, names))

    plain_setting = setting

    def settings(self, _: Meta, *settings: Setting) -> tuple[Setting, ...]:
        return settings

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


def _reference(name: Token) -> Reference:
    return Reference(str(name), line=name.line, column=name.column)


def _place(token: Token) -> Place:
    assert token.line is not None
    assert token.column is not None
    return Place(token.line, token.column)
