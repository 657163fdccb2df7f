"""Executions in the console: listed, drawn, followed, cancelled."""

import json
from typing import Any

import pytest

from support.graphs import Graphs, ending, event
from support.visitor import Visitor
from support.wire import TOPIC, Wire

from .conftest import Bury

GRAPH = {
    "nodes": [
        {"id": "read", "operatorRef": "Read", "kind": "LOCAL"},
        {"id": "infer", "operatorRef": "Infer", "kind": "REMOTE", "workerTopic": "gpu", "dependsOn": ["read"]},
    ]
}


@pytest.fixture
def graphs(wire: Wire) -> Graphs:
    """Return the executions of the test's namespace."""
    return Graphs(wire)


def told(kind: str, node: str = "", **data: Any) -> Any:
    """Return an event."""
    return event(kind, node, data=json.dumps(data).encode())


def test_a_namespace_without_executions_says_how_to_start_one(visitor: Visitor) -> None:
    """And what does not match is told apart."""
    assert "No graph was started" in visitor.see("/executions").text
    assert "No execution matches." in visitor.see("/executions", status="FAILED").text


def test_executions_are_listed_and_filtered(visitor: Visitor, graphs: Graphs) -> None:
    """By graph and status, latest first."""
    pending = graphs.start("one", business_key="key-1").execution_id
    running, _ = graphs.own(graph_name="two")
    page = visitor.see("/executions")
    assert page.text.index(running) < page.text.index(pending)
    assert "key-1" in page.text
    assert pending not in visitor.see("/executions", graph="two").text
    assert pending in visitor.see("/executions", status="PENDING").text
    assert running not in visitor.see("/executions", status="PENDING").text
    assert visitor.see("/executions", status="LOST").status == 400


def test_an_execution_is_drawn_and_followed(visitor: Visitor, graphs: Graphs) -> None:
    """Its nodes with their states, topics and workers, and what its journal says."""
    execution, lease = graphs.own(graph=json.dumps(GRAPH).encode(), graph_name="g")
    graphs.append(
        lease,
        1,
        told("GRAPH_STARTED", graphName="g"),
        told("NODE_STARTED", "read", attempt=1),
        told("NODE_COMPLETED", "read", output=1),
        told("NODE_STARTED", "infer", attempt=1),
        told("NODE_SUSPENDED", "infer", itemId="item-1", workerTopic="gpu", workItem="c2VjcmV0"),
    )
    page = visitor.see(f"/executions/{execution}")
    classes = {told["class"] for tag, told in page.tags if tag == "g" and "class" in told}
    assert classes == {"node completed", "node suspended remote"}
    assert [each for each in page.links if "/topics/gpu/items/item-1" in each]
    for words in ("running", "suspended", "graph started", "o-1"):
        assert words in page.text
    assert "c2VjcmV0" not in page.text
    assert [told for _, told in page.tags if told.get("hx-trigger") == "every 2s"]

    graphs.append(
        lease,
        6,
        told("NODE_RESUMED", "infer", itemId="item-1", outcome="COMPLETED", workerId="w1"),
        told("NODE_COMPLETED", "infer", output=2),
        ending(),
    )
    graphs.finish(lease, output=b'{"infer":2}')
    page = visitor.see(f"/executions/{execution}")
    assert '"infer": 2' in page.text
    assert "w1" in page.text
    assert not [told for _, told in page.tags if told.get("hx-trigger") == "every 2s"]
    assert [form for form in page.forms if form.method == "post"] == []


def test_an_execution_without_a_graph_that_can_be_drawn(visitor: Visitor, graphs: Graphs) -> None:
    """Has everything else."""
    execution = graphs.start(graph=b'{"format":99}').execution_id
    page = visitor.see(f"/executions/{execution}")
    assert page.status == 200
    assert "No node has begun." in page.text
    assert not [tag for tag, told in page.tags if told.get("class") == "graph"]


def test_what_an_execution_says_is_data(visitor: Visitor, graphs: Graphs) -> None:
    """Names of nodes, errors and outputs never become part of a page."""
    evil = "<script>alert(1)</script>"
    graph = {"nodes": [{"id": evil, "operatorRef": evil, "kind": "LOCAL"}]}
    execution, lease = graphs.own(graph=json.dumps(graph).encode())
    error = {"type": evil, "message": evil}
    graphs.append(lease, 1, told("NODE_STARTED", evil, attempt=1), told("NODE_FAILED", evil, error=error))
    page = visitor.see(f"/executions/{execution}")
    assert evil in page.text
    assert not [told for tag, told in page.tags if tag == "script" and "src" not in told]


def test_an_execution_is_cancelled(visitor: Visitor, graphs: Graphs) -> None:
    """Its owner is told; who asked and why is on record."""
    execution, lease = graphs.own()
    form = visitor.see(f"/executions/{execution}").form("/cancel")
    page = visitor.send(form, reason="not needed", actor="ada")
    assert "Cancellation was asked for: not needed" in page.text
    assert graphs.open(lease).cancel_requested
    assert f"CancelExecution {execution} ada not needed" in visitor.see("/actions").text


def test_a_dead_letter_of_an_execution_leads_there_and_back(visitor: Visitor, graphs: Graphs, bury: Bury) -> None:
    """From the item to its execution, and from the execution to its dead letters."""
    execution = graphs.start(worker_topic="graphs").execution_id
    bury("a", execution_id=execution)
    item = visitor.see(f"/topics/{TOPIC}/items/a")
    (there,) = {each for each in item.links if f"/executions/{execution}" in each}
    page = visitor.follow(there)
    (back,) = {each for each in page.links if "/dead-letters?" in each and "execution=" in each}
    assert [each for each in visitor.follow(back).links if each.split("?")[0].endswith("/items/a")]


def test_executions_are_found_by_their_id(visitor: Visitor, graphs: Graphs) -> None:
    """Like everything that has one."""
    execution = graphs.start().execution_id
    assert visitor.see("/find", q=execution).response.url.path == f"/console/executions/{execution}"


def test_an_execution_that_is_not_there(visitor: Visitor) -> None:
    """Is told as a page."""
    page = visitor.see("/executions/5b3c6f0e-8f5e-5a53-9d53-2f6f3c1f7a10")
    assert page.status == 404
