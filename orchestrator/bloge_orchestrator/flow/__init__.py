"""Graphs as decorated Python functions, equal to what their texts would compile to.

```python
@flow.remote("VisionModel", "vision", timeout="90s")
def infer(image): ...

@flow.graph()
def label_batch(ctx):
    @flow.foreach(ctx.images, on_item_failure="continue")
    def label(image):
        infer(image=image)
```
"""

from bloge_orchestrator.flow.graphs import Graph, graph
from bloge_orchestrator.flow.nodes import Node, node, operator, remote
from bloge_orchestrator.flow.steps import branch, foreach, transform
from bloge_orchestrator.flow.values import Value, conditional, default, expr, fn, maybe, name, text, when

__all__ = [
    "Graph",
    "Node",
    "Value",
    "branch",
    "conditional",
    "default",
    "expr",
    "fn",
    "foreach",
    "graph",
    "maybe",
    "name",
    "node",
    "operator",
    "remote",
    "text",
    "transform",
    "when",
]
