"""Graphs built in Python."""

from datetime import timedelta

import pytest

from bloge_orchestrator import GraphBuilder, GraphInvalid, OperatorRegistry, compile_source, expr

SOURCE = """
graph label_batch {
  node load : Load {
    input { id = ctx.batchId  options = { deep: [1, -2, 1.5, true, null, "a ${b}"], at: ctx.at } wait = 5m }
    timeout = 10s
    fallback = null
  }
  node infer : VisionModel {
    depends_on = [load]
    input { items = map(load.output.items, x -> x.id) }
    execution_mode = remote
    worker_topic = "vision"
    timeout = 90s
    retry = {
      attempts: 2, backoff: 500ms, strategy: exponential, max_backoff: 1m, non_retryable: ["ValueError"]
    }
    fallback = { labels: [] }
    on_dead_letter = resume_with_failure
  }
  transform report {
    let labels = infer.labels
    count = size(labels)
    version = 1
  }
}
""".replace('"a ${b}"', '"a \\${b}"')


def twin() -> GraphBuilder:
    return (
        GraphBuilder("label_batch")
        .node(
            "load",
            "Load",
            input={
                "id": expr("ctx.batchId"),
                "options": {"deep": [1, -2, 1.5, True, None, "a ${b}"], "at": expr("ctx.at")},
                "wait": timedelta(minutes=5),
            },
            timeout="10s",
            fallback=None,
        )
        .node(
            "infer",
            "VisionModel",
            depends_on=["load"],
            input={"items": expr("map(load.output.items, x -> x.id)")},
            execution_mode="remote",
            worker_topic="vision",
            timeout=timedelta(seconds=90),
            retry={
                "attempts": 2,
                "backoff": "500ms",
                "strategy": "exponential",
                "max_backoff": timedelta(minutes=1),
                "non_retryable": ["ValueError"],
            },
            fallback={"labels": []},
            on_dead_letter="resume_with_failure",
        )
        .transform("report", {"count": expr("size(labels)"), "version": 1}, let={"labels": expr("infer.labels")})
    )


def test_a_built_graph_equals_its_text(registry: OperatorRegistry) -> None:
    """The specification, the hash and the compiled graph."""
    compiled = compile_source(SOURCE, filename="g.bloge", registry=registry)
    assert twin().build() == compiled.spec
    assert twin().compile(registry) == compiled
    assert twin().compile(registry).content_hash == compiled.content_hash


def test_a_built_graph_obeys_the_same_rules(registry: OperatorRegistry) -> None:
    """The findings are the same, but have no place."""
    graph = (
        GraphBuilder("g")
        .node("a", "Op", execution_mode="remote", timeout="1s")
        .node("b", "Op", input={"x": expr("nope.y")}, retry={"attempts": -1}, timeout="1s")
        .node("b", "Op", depends_on=["b"], timeout="1s")
        .transform("t", {"x": expr("now()")})
    )
    with pytest.raises(GraphInvalid) as caught:
        graph.build()
    assert sorted(found.code for found in caught.value.diagnostics) == [
        "duplicate-id",
        "forbidden-in-transform",
        "out-of-range",
        "remote-needs-topic",
        "unknown-dependency",
    ]
    assert {(found.line, found.column) for found in caught.value.diagnostics} == {(None, None)}


def test_names_that_no_text_could_hold_are_refused() -> None:
    """A builder takes any string; an id must still be a name."""
    with pytest.raises(GraphInvalid, match="node id `a b`"):
        GraphBuilder("g").node("a b", "Op", timeout="1s").build()


def test_building_does_not_need_the_operators_but_compiling_does() -> None:
    """A graph may be built where it is not run."""
    graph = GraphBuilder("g").node("a", "Elsewhere", timeout="1s")
    assert graph.build().nodes[0].operator_ref == "Elsewhere"
    with pytest.raises(GraphInvalid, match="operator Elsewhere is not registered"):
        graph.compile(OperatorRegistry())


@pytest.mark.parametrize("wrong", [object(), {1, 2}, b"bytes", float])
def test_values_that_are_no_json_are_refused(wrong: object) -> None:
    """At once, where they are given."""
    with pytest.raises(TypeError, match="cannot stand in a graph"):
        GraphBuilder("g").node("a", "Op", input={"x": [wrong]})


@pytest.mark.parametrize("wrong", ["soon", "5", "1.5s", ""])
def test_durations_that_are_none_are_refused(wrong: str) -> None:
    """Whether they parse as another expression or not at all."""
    with pytest.raises(GraphInvalid):
        GraphBuilder("g").node("a", "Op", timeout=wrong).build()
