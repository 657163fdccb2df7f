"""What the scheduler costs: `python -m benchmarks.foreach [ITEMS]`. Nothing is run, stored or waited for.

A foreach over ITEMS items, 5,000 by default, is driven through `decide` from its first event to its last, once with a
local node in each item and once with a remote node and a transform, a tenth of the items and all of them: what an event
costs must not grow with their number.
"""

import sys
import time

from bloge_orchestrator import CompiledGraph, OperatorRegistry, compile_source
from bloge_orchestrator.execution.actions import Action, Enqueue, StartLocal
from bloge_orchestrator.execution.decide import decide
from bloge_orchestrator.execution.events import Event, OutcomeKind
from bloge_orchestrator.execution.happenings import Begun, Happening, OperatorReturned, OutcomeArrived
from bloge_orchestrator.execution.plan import Plan
from bloge_orchestrator.execution.state import ExecutionState, fold
from bloge_orchestrator.execution.work_items import ItemOutcome

ITEMS = 5_000
BODIES = {
    "local": "node a : Op { timeout = 1m, input { x = item.x } }",
    "remote": """
      node a : Far { execution_mode = remote, worker_topic = "t", timeout = 1m, input { x = item.x } }
      transform b { y = a.output.y }
    """,
}


def main() -> int:
    """Measure, and print a line for each foreach."""
    items = int(sys.argv[1]) if len(sys.argv) > 1 else ITEMS
    print(f"{'foreach':<8} {'items':>7} {'events':>8} {'cpu s':>8} {'us/event':>9} {'fold s':>7}")
    for name, body in BODIES.items():
        graph = _graph(body)
        for number in (max(1, items // 10), items):
            start = time.process_time()
            events = _drive(graph, number)
            seconds = time.process_time() - start
            start = time.process_time()
            fold(events)
            folding = time.process_time() - start
            each = 1e6 * seconds / len(events)
            print(f"{name:<8} {number:>7} {len(events):>8} {seconds:>8.3f} {each:>9.1f} {folding:>7.3f}")
    return 0


def _graph(body: str) -> CompiledGraph:
    registry = OperatorRegistry()
    registry.register("Op", lambda node_input: node_input)
    text = f"graph g {{ foreach each : item in ctx.items {{ {body} }} }}"
    return compile_source(text, filename="g.bloge", registry=registry)


def _drive(graph: CompiledGraph, number: int) -> list[Event]:
    """Carry an execution to its end, one happening after the other; gives its events."""
    plan, state, events = Plan(graph), ExecutionState(), list[Event]()
    waiting: list[Happening] = [Begun("e", "default", "", {"items": [{"x": index} for index in range(number)]})]
    while waiting:
        decision = decide(plan, state, waiting.pop(), len(events))
        state = decision.state
        events += decision.events
        waiting += [answer for action in decision.actions if (answer := _answer(action)) is not None]
    assert state.finished
    return events


def _answer(action: Action) -> Happening | None:
    match action:
        case StartLocal(node_id, attempt):
            return OperatorReturned(node_id, attempt, {"y": 1})
        case Enqueue(node_id, item_id):
            return OutcomeArrived("t", ItemOutcome(item_id, node_id, OutcomeKind.COMPLETED, b'{"y": 1}'))
        case _:
            return None


if __name__ == "__main__":
    raise SystemExit(main())
