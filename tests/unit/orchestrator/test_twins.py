"""One graph with every construct, written three times: as a text, with the builder, and as decorated functions."""

from datetime import timedelta
from typing import Any

import pytest

from bloge_orchestrator import (
    Body,
    CompiledGraph,
    GraphBuilder,
    GraphSpec,
    OperatorRegistry,
    compile_source,
    compile_spec,
    expr,
    flow,
)
from bloge_orchestrator.builder import Retry
from bloge_orchestrator.graph_json import decode_graph, encode_graph
from support.graph_files import FilesInMemory
from support.graph_texts import ENRICH, EVERYTHING


def from_text(registry: OperatorRegistry) -> CompiledGraph:
    """Compile the text."""
    files = FilesInMemory({"enrich.bloge": ENRICH})
    return compile_source(EVERYTHING, filename="everything.bloge", registry=registry, files=files)


def enrich() -> GraphBuilder:
    """Build the sub-graph."""
    return (
        GraphBuilder("enrich")
        .input({"id": "String", "factor": "Int?"})
        .node("fetch", "Fetch", input={"id": expr("ctx.id")}, timeout="5s")
        .transform("scaled", {"value": expr("fetch.output.value * (ctx.factor ?? 1)")})
    )


def with_builder() -> GraphBuilder:
    """Build the graph."""
    vision: dict[str, Any] = {"execution_mode": "remote", "worker_topic": "vision", "timeout": "90s"}
    inside = (
        Body()
        .node(
            "infer",
            "VisionModel",
            input={
                "image": expr("part.image"),
                "position": expr("i + 1"),
                "all": expr('load.output.items[0]["size"]'),
            },
            **vision,
        )
        .foreach(
            "deep",
            expr("infer.output.words"),
            Body().transform("upperCase", {"word": expr("upper(word)")}),
            item="word",
            sequential=True,
        )
        .branch(expr("infer.output.sure"), {True: "keep"})
        .transform("keep", {"label": expr("infer.output.label")})
        .subgraph("each", enrich(), input={"id": expr("part.id")}, scope="parent")
    )
    retry: Retry = {
        "attempts": 2,
        "backoff": "500ms",
        "strategy": "exponential",
        "max_backoff": timedelta(minutes=1),
        "non_retryable": ["ValueError"],
    }
    return (
        GraphBuilder("everything")
        .input({"batch": "String", "parts": "[Part]?"})
        .output({"report": {"n": "Int"}})
        .schema("Part", {"id": "String", "size": "Int?"})
        .node(
            "load",
            "Load",
            input={
                "id": expr("ctx.batch"),
                "limit": timedelta(minutes=5),
                "name": expr('"batch ${ctx.batch}: ${upper(ctx.kind)}"'),
            },
            output={"items": ["Part"]},
            timeout="10s",
            retry=retry,
        )
        .branch(expr("load.output.kind"), [("small", "quick"), (["big", 1], ["slow", "audit"])], otherwise="quick")
        .branch(
            on=True,
            arms=[
                (expr("load.output.n > 3 && !(load.output?.flag ?? false)"), "audit"),
                (expr("load.output.n % 2 == 0 || ctx.force"), "slow"),
            ],
            inclusive=True,
        )
        .node("quick", "Op", timeout="1s", fallback={"label": None})
        .node("slow", "VisionModel", depends_on=["load"], on_dead_letter="resume_with_failure", output="Part", **vision)
        .node("audit", "Op", timeout="1s")
        .foreach(
            "label",
            expr("load.output.items"),
            inside,
            item="part",
            index="i",
            max_concurrency=50,
            on_item_failure="continue",
            depends_on=["audit"],
        )
        .subgraph(
            "enriched",
            enrich(),
            input={"id": expr("ctx.batch"), "factor": -2},
            timeout="1m",
            retry={"attempts": 1},
            fallback={"scaled": {"value": 0}},
        )
        .transform(
            "report",
            {
                "n": expr("size(known)"),
                "rate": expr("size(labels) == 0 ? 0 : size(known) / size(labels)"),
                "kind": expr('when load.output.kind { "small" -> "s", otherwise -> "l" }'),
                "none": expr("when { ctx.force -> 1 }"),
            },
            let={
                "labels": expr("map(label.output, x -> x?.keep)"),
                "known": expr("filter(labels, (one, at) -> one != null)"),
            },
            types={"n": "Int", "rate": "Number"},
        )
    )


def with_functions() -> flow.Graph:  # noqa: C901 - a description, not a program
    """Describe the graph."""
    fn = flow.fn

    @flow.node("Fetch", timeout="5s")
    def fetch(node_input: dict[str, Any]) -> Any:
        return node_input

    @flow.graph(name="enrich", input={"id": "String", "factor": "Int?"})
    def enriched(ctx: Any) -> None:
        fetched = fetch(id=ctx.id)

        @flow.transform()
        def scaled() -> dict[str, Any]:
            return {"value": fetched.output.value * flow.default(ctx.factor, 1)}

    retry: Any = {
        "attempts": 2,
        "backoff": "500ms",
        "strategy": "exponential",
        "max_backoff": "1m",
        "non_retryable": ["ValueError"],
    }
    load = flow.operator("Load", id="load", output={"items": ["Part"]}, timeout="10s", retry=retry)
    quick = flow.operator("Op", id="quick", timeout="1s")

    @flow.remote("VisionModel", "vision", timeout="90s")
    def infer(image: Any, position: int, all: Any) -> None: ...  # noqa: A002 - a field's name

    @flow.remote("VisionModel", "vision", timeout="90s", on_dead_letter="resume_with_failure", output="Part")
    def slow() -> None: ...

    @flow.graph(
        input={"batch": "String", "parts": "[Part]?"},
        output={"report": {"n": "Int"}},
        schemas={"Part": {"id": "String", "size": "Int?"}},
    )
    def everything(ctx: Any) -> None:
        name = flow.text("batch ", ctx.batch, ": ", fn.upper(ctx.kind))
        batch = load(id=ctx.batch, limit=timedelta(minutes=5), name=name)
        flow.branch(batch.output.kind, [("small", "quick"), (["big", 1], ["slow", "audit"])], otherwise="quick")
        flow.branch(
            on=True,
            arms=[
                ((batch.output.n > 3) & ~flow.default(flow.maybe(batch.output).flag, otherwise=False), "audit"),
                ((batch.output.n % 2 == 0) | ctx.force, "slow"),
            ],
            inclusive=True,
        )
        quick.options(fallback={"label": None})()
        slow.options(after=[batch])()
        audit = quick.options(id="audit")()

        @flow.foreach(batch.output.items, max_concurrency=50, on_item_failure="continue", after=[audit])
        def label(part: Any, i: Any) -> None:
            seen = infer(image=part.image, position=i + 1, all=batch.output.items[0]["size"])

            @flow.foreach(seen.output.words, sequential=True)
            def deep(word: Any) -> None:
                @flow.transform(id="upperCase")
                def upper_case() -> dict[str, Any]:
                    return {"word": fn.upper(word)}

            flow.branch(seen.output.sure, {True: "keep"})

            @flow.transform()
            def keep() -> dict[str, Any]:
                return {"label": seen.output.label}

            enriched.options(id="each", scope="parent")(id=part.id)

        enriched.options(timeout="1m", retry={"attempts": 1}, fallback={"scaled": {"value": 0}})(
            id=ctx.batch, factor=-2
        )

        @flow.transform(
            let={
                "labels": fn.map(label.output, lambda x: flow.maybe(x).keep),
                "known": fn.filter(flow.name("labels"), lambda one, at: one != None),  # noqa: E711 - an expression
            },
            types={"n": "Int", "rate": "Number"},
        )
        def report(labels: Any, known: Any) -> dict[str, Any]:
            return {
                "n": fn.size(known),
                "rate": flow.conditional(fn.size(labels) == 0, 0, fn.size(known) / fn.size(labels)),
                "kind": flow.when(batch.output.kind, arms=[("small", "s")], otherwise="l"),
                "none": flow.when(arms=[(ctx.force, 1)]),
            }

    return everything


@pytest.fixture
def operators() -> OperatorRegistry:
    """The operators of the graph, `Fetch` left out."""
    registry = OperatorRegistry()
    for name in ("Load", "Op"):
        registry.register(name, lambda node_input: node_input)
    return registry


@pytest.fixture
def text(operators: OperatorRegistry) -> CompiledGraph:
    """The graph as its text gives it."""
    registry = OperatorRegistry()
    for name in (*operators.names(), "Fetch"):
        registry.register(name, lambda node_input: node_input)
    return from_text(registry)


def differing(left: GraphSpec, right: GraphSpec) -> list[str]:
    """Return the ids of nodes that differ."""
    assert [node.id for node in left.nodes] == [node.id for node in right.nodes]
    return [one.id for one, other in zip(left.nodes, right.nodes, strict=True) if one != other]


def test_what_is_built_equals_the_text_node_for_node(text: CompiledGraph) -> None:
    """In its specification and in its hash."""
    built = with_builder().build()
    assert differing(built, text.spec) == []
    assert built == text.spec
    assert link_hash(built) == text.content_hash


def test_what_functions_describe_equals_the_text_node_for_node(
    text: CompiledGraph, operators: OperatorRegistry
) -> None:
    """Though its operators come with it."""
    described = with_functions()
    assert differing(described.build(), text.spec) == []
    assert described.build() == text.spec
    compiled = described.compile(operators)
    assert compiled.content_hash == text.content_hash


def test_the_graph_is_recorded_and_read_back(text: CompiledGraph, operators: OperatorRegistry) -> None:
    """With its sub-graph once, though it is used twice and sees different things."""
    recorded = encode_graph(text.spec)
    again = decode_graph(recorded)
    assert again == text.spec
    operators.register("Fetch", lambda node_input: node_input)
    assert compile_spec(again, registry=operators).content_hash == text.content_hash
    assert recorded.count(b'"name":"enrich"') == 1


def link_hash(spec: GraphSpec) -> str:
    """Return the content hash of a specification that went through its recorded form."""
    registry = OperatorRegistry()
    for name in ("Load", "Op", "Fetch"):
        registry.register(name, lambda node_input: node_input)
    return compile_spec(decode_graph(encode_graph(spec)), registry=registry).content_hash
