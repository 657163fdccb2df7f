"""Functions on lists and objects that need no lambda; some take strings too."""

from itertools import chain

from bloge_orchestrator.expressions.functions.signature import Cost, FunctionTable, declare
from bloge_orchestrator.expressions.values import Json, OperationError, comparable, equal, identity

FUNCTIONS: FunctionTable = {}

_RANGE_MAX = 100_000


@declare(FUNCTIONS, "size", "list|object|text", Cost.CONSTANT)
def _size(value: Json) -> int:
    return len(value)


@declare(FUNCTIONS, "length", "list|object|text", Cost.CONSTANT)
def _length(value: Json) -> int:
    return len(value)


@declare(FUNCTIONS, "isEmpty", "list|object|text|null", Cost.CONSTANT)
def _is_empty(value: Json) -> bool:
    return not value


@declare(FUNCTIONS, "contains", "list|object|text any", Cost.DEEP)
def _contains(container: Json, value: Json) -> bool:
    if isinstance(container, list):
        return any(equal(item, value) for item in container)
    if not isinstance(value, str):
        raise OperationError("contains: a string or an object can only contain a string")
    return value in container


@declare(FUNCTIONS, "indexOf", "list|text any", Cost.DEEP)
def _index_of(container: Json, value: Json) -> int:
    if isinstance(container, list):
        return next((index for index, item in enumerate(container) if equal(item, value)), -1)
    if not isinstance(value, str):
        raise OperationError("indexOf: a string can only contain a string")
    return str(container).find(value)


@declare(FUNCTIONS, "reverse", "list|text")
def _reverse(value: Json) -> Json:
    return value[::-1]


@declare(FUNCTIONS, "first", "list", Cost.CONSTANT)
def _first(items: list[Json]) -> Json:
    return items[0] if items else None


@declare(FUNCTIONS, "last", "list", Cost.CONSTANT)
def _last(items: list[Json]) -> Json:
    return items[-1] if items else None


@declare(FUNCTIONS, "take", "list integer")
def _take(items: list[Json], count: int) -> list[Json]:
    return items[: max(count, 0)]


@declare(FUNCTIONS, "drop", "list integer")
def _drop(items: list[Json], count: int) -> list[Json]:
    return items[max(count, 0) :]


@declare(FUNCTIONS, "slice", "list integer integer?")
def _slice(items: list[Json], start: int, end: int | None = None) -> list[Json]:
    return items[start:end]


@declare(FUNCTIONS, "concat", "list*")
def _concat(*lists: list[Json]) -> list[Json]:
    return list(chain.from_iterable(lists))


@declare(FUNCTIONS, "append", "list any")
def _append(items: list[Json], item: Json) -> list[Json]:
    return [*items, item]


@declare(FUNCTIONS, "distinct", "list", Cost.DEEP)
def _distinct(items: list[Json]) -> list[Json]:
    return list({identity(item): item for item in reversed(items)}.values())[::-1]


@declare(FUNCTIONS, "flatten", "list")
def _flatten(items: list[Json]) -> list[Json]:
    return list(chain.from_iterable(item if isinstance(item, list) else [item] for item in items))


@declare(FUNCTIONS, "sort", "list")
def _sort(items: list[Json]) -> list[Json]:
    if not all(comparable(item, items[0]) for item in items):
        raise OperationError("sort: the items must be all numbers or all strings; use sortBy for objects")
    return sorted(items)


@declare(FUNCTIONS, "range", "integer integer?")
def _range(first: int, end: int | None = None) -> list[int]:
    start, stop = (0, first) if end is None else (first, end)
    if stop - start > _RANGE_MAX:
        raise OperationError(f"range: at most {_RANGE_MAX} numbers, got {stop - start}")
    return list(range(start, stop))


@declare(FUNCTIONS, "zip", "list list")
def _zip(left: list[Json], right: list[Json]) -> list[list[Json]]:
    return [[a, b] for a, b in zip(left, right, strict=False)]


@declare(FUNCTIONS, "chunk", "list integer")
def _chunk(items: list[Json], size: int) -> list[list[Json]]:
    if size < 1:
        raise OperationError(f"chunk: the size must be at least 1, got {size}")
    return [items[start : start + size] for start in range(0, len(items), size)]


@declare(FUNCTIONS, "keys", "object")
def _keys(value: dict[str, Json]) -> list[str]:
    return list(value)


@declare(FUNCTIONS, "values", "object")
def _values(value: dict[str, Json]) -> list[Json]:
    return list(value.values())


@declare(FUNCTIONS, "entries", "object")
def _entries(value: dict[str, Json]) -> list[Json]:
    return [{"key": key, "value": item} for key, item in value.items()]


@declare(FUNCTIONS, "fromEntries", "list")
def _from_entries(items: list[Json]) -> dict[str, Json]:
    if not all(isinstance(item, dict) and isinstance(item.get("key"), str) for item in items):
        raise OperationError("fromEntries: every item must be an object with a string `key` and a `value`")
    return {item["key"]: item.get("value") for item in items}


@declare(FUNCTIONS, "merge", "object*")
def _merge(*objects: dict[str, Json]) -> dict[str, Json]:
    return dict(chain.from_iterable(value.items() for value in objects))


@declare(FUNCTIONS, "has", "object text", Cost.CONSTANT)
def _has(value: dict[str, Json], key: str) -> bool:
    return key in value


@declare(FUNCTIONS, "get", "object text any?", Cost.CONSTANT)
def _get(value: dict[str, Json], key: str, default: Json = None) -> Json:
    return value.get(key, default)


@declare(FUNCTIONS, "pick", "object list")
def _pick(value: dict[str, Json], names: list[Json]) -> dict[str, Json]:
    wanted = {name for name in names if isinstance(name, str)}
    return {key: item for key, item in value.items() if key in wanted}


@declare(FUNCTIONS, "omit", "object list")
def _omit(value: dict[str, Json], names: list[Json]) -> dict[str, Json]:
    unwanted = {name for name in names if isinstance(name, str)}
    return {key: item for key, item in value.items() if key not in unwanted}
