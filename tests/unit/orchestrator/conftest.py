import pytest

from bloge_orchestrator import OperatorRegistry
from bloge_orchestrator.operators import Json


@pytest.fixture
def registry() -> OperatorRegistry:
    """A registry with the operators `Load` and `Op`."""
    operators = OperatorRegistry()

    @operators.operator("Load")
    def load(node_input: dict[str, Json]) -> Json:
        return node_input

    @operators.operator("Op")
    async def op(node_input: dict[str, Json]) -> Json:
        return node_input

    return operators
