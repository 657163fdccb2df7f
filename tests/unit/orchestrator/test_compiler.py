"""From text, builder or record to a compiled graph."""

import json
from datetime import timedelta

import pytest

from bloge_orchestrator import (
    GraphInvalid,
    GraphSpec,
    NodeKind,
    OperatorRegistry,
    RemoteWorkerOperator,
    RetryPolicy,
    compile_source,
    compile_spec,
)
from bloge_orchestrator.expressions.formatter import format_expression
from bloge_orchestrator.graph import BackoffStrategy, Fallback, OnDeadLetter, TypeSpec
from bloge_orchestrator.graph_json import GraphFormatError, content_hash, decode_graph, encode_graph

SOURCE = """
graph label_batch {
  input { batchId: String }
  output { count: Int? }
  schema Labels { labels: [String]  source: { name: String }? }
  node check : Op { timeout = 1s }
  node load : Load {
    depends_on = [check]
    input { id = ctx.batchId  again = load2.x }
    timeout = 10s
    fallback = null
  }
  node load2 : Load { timeout = 10s }
  node infer : VisionModel {
    input { items = load.output.items  wait = 5m }
    output : Labels
    execution_mode = remote
    worker_topic = "vision"
    timeout = 90s
    retry = {
      attempts: 2, backoff: 500ms, strategy: exponential, max_backoff: 1m, non_retryable: ["ValueError"]
    }
    fallback = { labels: [], after: 2s }
    on_dead_letter = resume_with_failure
  }
  transform report {
    let labels = infer.labels
    count: Int = size(labels)
    first = labels?[0] ?? load.output.name
  }
}
"""


def spec_of(source: str, registry: OperatorRegistry) -> GraphSpec:
    return compile_source(source, filename="g.bloge", registry=registry).spec


def test_a_remote_node_keeps_its_business_name_and_embeds_the_remote_operator(registry: OperatorRegistry) -> None:
    """With its topic, its retry policy and its suspend deadline; the registry does not know VisionModel."""
    graph = compile_source(SOURCE, filename="g.bloge", registry=registry)
    infer = graph.nodes["infer"]
    assert infer.spec.kind is NodeKind.REMOTE
    assert infer.spec.operator_ref == "VisionModel"
    assert infer.spec.attributes == {"execution_mode": "remote", "worker_topic": "vision"}
    assert infer.operator == RemoteWorkerOperator(
        operator_ref="VisionModel",
        worker_topic="vision",
        retry=RetryPolicy(
            attempts=2,
            backoff=timedelta(milliseconds=500),
            strategy=BackoffStrategy.EXPONENTIAL,
            max_backoff=timedelta(minutes=1),
            non_retryable=("ValueError",),
        ),
        timeout=timedelta(seconds=90),
        on_dead_letter=OnDeadLetter.RESUME_WITH_FAILURE,
    )


def test_local_nodes_and_transforms(registry: OperatorRegistry) -> None:
    """A local node has its registered operator, a transform has none."""
    graph = compile_source(SOURCE, filename="g.bloge", registry=registry)
    assert graph.nodes["load"].operator is registry.lookup("Load")
    assert graph.nodes["load"].spec.attributes == {}
    report = graph.nodes["report"]
    assert (report.spec.kind, report.operator) == (NodeKind.TRANSFORM, None)
    assert {name: format_expression(value) for name, value in report.spec.input.items()} == {
        "count": "size(labels)",
        "first": "labels?[0] ?? load.output.name",
    }
    assert list(report.spec.locals) == ["labels"]


def test_dependencies_are_explicit_then_inferred(registry: OperatorRegistry) -> None:
    """From the long and the short form; `ctx` and locals are none, and nothing is listed twice."""
    spec = spec_of(SOURCE, registry)
    assert {node.id: node.depends_on for node in spec.nodes} == {
        "check": (),
        "load": ("check", "load2"),
        "load2": (),
        "infer": ("load",),
        "report": ("infer", "load"),
    }


def test_defaults(registry: OperatorRegistry) -> None:
    """No retry, no timeout, no fallback; dead letters keep a node suspended; a strategy left out is fixed."""
    bare, retrying = spec_of("graph g { node a : Op {} node b : Op { retry = { attempts: 1 } } }", registry).nodes
    assert (bare.timeout, bare.fallback, bare.worker_topic, bare.output) == (None, None, None, None)
    assert bare.retry == RetryPolicy(attempts=0)
    assert bare.on_dead_letter is OnDeadLetter.KEEP_SUSPENDED
    assert retrying.retry == RetryPolicy(1, timedelta(seconds=1), BackoffStrategy.FIXED)


def test_a_fallback_of_null_is_a_fallback(registry: OperatorRegistry) -> None:
    """Presence and value are two things."""
    by_id = spec_of(SOURCE, registry).by_id
    assert by_id["load"].fallback == Fallback(None)
    assert by_id["infer"].fallback == Fallback({"labels": [], "after": 2000})
    assert by_id["check"].fallback is None


def test_declared_types_are_recorded(registry: OperatorRegistry) -> None:
    """Schemas, the graph's ports, a node's output, a transform's fields."""
    spec = spec_of(SOURCE, registry)
    string = TypeSpec("String")
    assert spec.schemas == {
        "Labels": TypeSpec(
            fields={"labels": TypeSpec(items=string), "source": TypeSpec(fields={"name": string}, optional=True)}
        )
    }
    assert (spec.input, spec.output) == (
        TypeSpec(fields={"batchId": string}),
        TypeSpec(fields={"count": TypeSpec("Int", optional=True)}),
    )
    assert spec.by_id["infer"].output == TypeSpec("Labels")
    assert spec.by_id["report"].output == TypeSpec(fields={"count": TypeSpec("Int")})


def test_a_recorded_graph_is_read_back(registry: OperatorRegistry) -> None:
    """Equal, with the same bytes and the same hash, and it compiles to the same graph."""
    graph = compile_source(SOURCE, filename="g.bloge", registry=registry)
    recorded = encode_graph(graph.spec)
    again = decode_graph(recorded)
    assert again == graph.spec
    assert encode_graph(again) == recorded
    assert compile_spec(again, registry=registry) == graph
    assert content_hash(again) == graph.content_hash


def test_the_hash_follows_the_meaning(registry: OperatorRegistry) -> None:
    """Layout, comments and parentheses do not count; a value does, and so does its type."""
    base, same, *others = (
        content_hash(spec_of(f"graph g {{ node a : Op {{ {entries} }} }}", registry))
        for entries in (
            "input { x = 1 + 2 } timeout = 60s",
            "timeout = 1m /* a minute */ input { x = (1 + (2)) }",
            "input { x = 1 + 3 } timeout = 60s",
            "input { x = 1 + 2.0 } timeout = 60s",
            "input { x = 1 + 2 } timeout = 61s",
        )
    )
    assert base == same
    assert len({base, *others}) == 4


def test_a_recorded_graph_needs_its_local_operators(registry: OperatorRegistry) -> None:
    """The process that takes over may have other operators than the one that started."""
    spec = spec_of(SOURCE, registry)
    with pytest.raises(GraphInvalid, match="operator Load is not registered"):
        compile_spec(spec, registry=OperatorRegistry())


@pytest.mark.parametrize(
    "document",
    ["", "[]", "{}", '{"format": 2}', '{"format": 1, "name": "g", "nodes": [{}]}', b"\xff", "[" * 100_000],
)
def test_a_document_that_is_no_graph_is_refused(document: str | bytes) -> None:
    """With one typed error."""
    with pytest.raises(GraphFormatError, match="not a recorded graph of format 1"):
        decode_graph(document)


def test_the_recorded_form_is_readable(registry: OperatorRegistry) -> None:
    """Expressions stand in it as text, durations as milliseconds."""
    document = json.loads(encode_graph(spec_of(SOURCE, registry)))
    infer = next(node for node in document["nodes"] if node["id"] == "infer")
    assert infer["input"] == {"items": "load.output.items", "wait": "5m"}
    assert (infer["timeoutMs"], infer["retry"]["backoffMs"], infer["fallback"]["value"]["after"]) == (
        90_000,
        500,
        2_000,
    )
