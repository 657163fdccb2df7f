"""Collection functions that take a lambda. An item's lambda may take its index as a second parameter."""

from collections.abc import Iterator

from bloge_orchestrator.expressions.functions.signature import FunctionTable, LambdaValue, declare
from bloge_orchestrator.expressions.values import Json, OperationError, comparable, described, shown

FUNCTIONS: FunctionTable = {}


@declare(FUNCTIONS, "map", "list lambda")
def _map(items: list[Json], function: LambdaValue) -> list[Json]:
    return [function(item, index) for index, item in enumerate(items)]


@declare(FUNCTIONS, "filter", "list lambda")
def _filter(items: list[Json], function: LambdaValue) -> list[Json]:
    return [item for item, chosen in _choices("filter", items, function) if chosen]


@declare(FUNCTIONS, "flatMap", "list lambda")
def _flat_map(items: list[Json], function: LambdaValue) -> list[Json]:
    results = [function(item, index) for index, item in enumerate(items)]
    return [item for result in results for item in (result if isinstance(result, list) else [result])]


@declare(FUNCTIONS, "reduce", "list any lambda")
def _reduce(items: list[Json], initial: Json, function: LambdaValue) -> Json:
    result = initial
    for index, item in enumerate(items):
        result = function(result, item, index)
    return result


@declare(FUNCTIONS, "any", "list lambda")
def _any(items: list[Json], function: LambdaValue) -> bool:
    return any(chosen for _, chosen in _choices("any", items, function))


@declare(FUNCTIONS, "all", "list lambda")
def _all(items: list[Json], function: LambdaValue) -> bool:
    return all(chosen for _, chosen in _choices("all", items, function))


@declare(FUNCTIONS, "none", "list lambda")
def _none(items: list[Json], function: LambdaValue) -> bool:
    return not any(chosen for _, chosen in _choices("none", items, function))


@declare(FUNCTIONS, "find", "list lambda")
def _find(items: list[Json], function: LambdaValue) -> Json:
    return next((item for item, chosen in _choices("find", items, function) if chosen), None)


@declare(FUNCTIONS, "count", "list lambda?")
def _count(items: list[Json], function: LambdaValue | None = None) -> int:
    if function is None:
        return len(items)
    return sum(chosen for _, chosen in _choices("count", items, function))


@declare(FUNCTIONS, "sortBy", "list lambda")
def _sort_by(items: list[Json], function: LambdaValue) -> list[Json]:
    keyed = [(function(item, index), item) for index, item in enumerate(items)]
    if not all(comparable(key, keyed[0][0]) for key, _ in keyed):
        raise OperationError("sortBy: the lambda must give all numbers or all strings")
    return [item for _, item in sorted(keyed, key=lambda pair: pair[0])]


@declare(FUNCTIONS, "groupBy", "list lambda")
def _group_by(items: list[Json], function: LambdaValue) -> dict[str, list[Json]]:
    groups: dict[str, list[Json]] = {}
    for index, item in enumerate(items):
        groups.setdefault(shown(function(item, index)), []).append(item)
    return groups


@declare(FUNCTIONS, "keyBy", "list lambda")
def _key_by(items: list[Json], function: LambdaValue) -> dict[str, Json]:
    return {shown(function(item, index)): item for index, item in enumerate(items)}


@declare(FUNCTIONS, "sumBy", "list lambda")
def _sum_by(items: list[Json], function: LambdaValue) -> Json:
    total = 0
    for index, item in enumerate(items):
        amount = function(item, index)
        if not comparable(amount, 0):
            raise OperationError(f"sumBy: the lambda must give numbers, got {described(amount)}")
        total += amount
    return total


@declare(FUNCTIONS, "mapValues", "object lambda")
def _map_values(value: dict[str, Json], function: LambdaValue) -> dict[str, Json]:
    return {key: function(item, key) for key, item in value.items()}


def _choices(name: str, items: list[Json], function: LambdaValue) -> Iterator[tuple[Json, bool]]:
    for index, item in enumerate(items):
        chosen = function(item, index)
        if not isinstance(chosen, bool):
            raise OperationError(f"{name}: the lambda must give a boolean, got {described(chosen)}")
        yield item, chosen
