"""Random graphs with every construct, for tests of what holds for all executions."""

from random import Random
from typing import Any

from bloge_orchestrator import Body, CompiledGraph, GraphBuilder, expr
from support.executions import registry

NODES_MAX, DEPTH_MAX = 5, 2
VALUES = (None, 1, 2)


class RandomGraphs:
    """Makes graphs.

    Args:
        random: Decides.
        failing_items: Whether an item may fail its foreach at once. If it may, what becomes of the other items hangs on
            the order in which they end.
    """

    def __init__(self, random: Random, *, failing_items: bool = True) -> None:
        self._random = random
        self._failing_items = failing_items

    def graph(self) -> CompiledGraph:
        """Make a graph."""
        builder = GraphBuilder("g")
        self._fill(builder, 0)
        return builder.compile(registry())

    def _fill(self, body: Body, depth: int) -> Body:
        """Add nodes of every kind that depend on earlier ones, and branches from earlier to later ones."""
        random = self._random
        names = [f"n{depth}{number}" for number in range(random.randint(1, NODES_MAX - 2 * depth))]
        for number, name in enumerate(names):
            self._add(body, name, sorted(random.sample(names[:number], min(number, random.randint(0, 2)))), depth)
        for number in range(1, len(names)):
            if random.random() < 0.3:
                arms = [(random.choice(VALUES), random.choices(names[number:], k=random.randint(1, 2))) for _ in "ab"]
                body.branch(expr(f"{names[number - 1]}.output?.x"), arms, inclusive=random.random() < 0.5)
        return body

    def _add(self, body: Body, name: str, earlier: list[str], depth: int) -> None:
        kinds = ["local", "remote", "transform", *(["foreach", "subgraph"] if depth < DEPTH_MAX else [])]
        match self._random.choice(kinds):
            case "local":
                body.node(name, "Op", depends_on=earlier, **self._resilience(name))
            case "remote":
                remote: dict[str, Any] = {"execution_mode": "remote", "worker_topic": "t"}
                body.node(name, "Op", depends_on=earlier, **remote, **self._resilience(name))
            case "transform":
                read = {each: expr(f"{each}.output") for each in earlier}
                body.transform(name, {"x": self._random.choice(VALUES), **read})
            case "foreach":
                self._add_foreach(body, name, earlier, depth)
            case _:
                graph = GraphBuilder("sub")
                self._fill(graph, depth + 1)
                scope = self._random.choice(["parent", "isolated"])
                body.subgraph(name, graph, depends_on=earlier, scope=scope, **self._resilience(name))

    def _add_foreach(self, body: Body, name: str, earlier: list[str], depth: int) -> None:
        policies = ["fail", "continue"] if self._failing_items else ["continue"]
        body.foreach(
            name,
            list(range(self._random.randint(0, 3))),
            self._fill(Body(), depth + 1),
            item=f"item{depth}",
            depends_on=earlier,
            max_concurrency=self._random.randint(1, 3),
            on_item_failure=self._random.choice(policies),
        )

    def _resilience(self, name: str) -> Any:
        retry = {"attempts": self._random.randint(0, 2), "backoff": "10ms", "non_retryable": ["Fatal"]}
        fallback = {"fallback": {"spare": name}} if self._random.random() < 0.5 else {}
        return {"timeout": "1s", "retry": retry, **fallback}
