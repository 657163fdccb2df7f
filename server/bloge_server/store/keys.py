"""Every key, in one place. All keys of a topic share one hash tag, as do those of an execution: a script has one slot.

| key | type | content |
|---|---|---|
| `bloge:namespaces` | SET | namespaces that have topics |
| `bloge:{<ns>}:topics` | SET | topics of a namespace, written before a topic's first enqueue |
| `bloge:{<ns>}:actions` | STREAM | what people did, capped |
| `bloge:{<ns>}:action:<request id>` | STRING | what an action with this request id answered, for a day |
| `bloge:{<ns>}:run:<id>` | STRING | how far a long action has come, JSON; for a day |
| `bloge:{<ns>}:run:<id>:stop` | STRING | it was asked to stop; for a day |
| `bloge:{<ns>}:workers` | ZSET | worker id -> last seen, ms; for an hour |
| `bloge:{<ns>}:worker-cards` | HASH | worker id -> what is known of the worker, JSON |
| `bloge:{<ns>}:leaving-workers` | ZSET | worker id -> when it was asked to leave, ms; for a day |
| `bloge:{<ns>/t/<topic>}:ready` | ZSET | item id -> (99 - priority) * 2^46 + sequence |
| `...:leases` | ZSET | item id -> lease deadline, ms |
| `...:retry` | ZSET | item id -> due time, ms |
| `...:deadlines` | ZSET | item id -> suspend deadline, ms |
| `...:dead` | ZSET | item id -> dead-letter time, ms |
| `...:finished` | ZSET | item id -> end of retention, ms |
| `...:topic` | HASH | sequence counter, settings |
| `...:outbox:<reply group>` | ZSET | item id -> order of emission; outcomes not acknowledged |
| `...:outboxes` | ZSET | reply group -> instant of its oldest outcome that is not acknowledged, ms |
| `...:events` | STREAM | what happened to items, a line for each event; capped, for live views |
| `...:throughput` | HASH | what happened lately, counted in slots of some seconds each |
| `...:item:<id>` | HASH | the record |
| `...:request:<id>` | STRING | what a claim with this request id returned, for 60 s |
| `...:wake` | channel | sharded pub/sub: what changed |
| `...:mark` | STRING | written where a call waits for replicas, see `mark`; for 60 s |
| `...:guard` | none | never written; on a cluster every script declares it, see `guard` |
| `bloge:{<ns>/x/<execution>}:journal` | STREAM | sequence number -> event, with the time of its append, ms |
| `bloge:{<ns>/x/<execution>}:execution` | HASH | topic, graph, status; the journal's next sequence number and fence |
| `bloge:{<ns>}:executions` | ZSET | days (since 1970) on which executions were started |
| `bloge:{<ns>}:executions:<day>` | ZSET | execution -> start time, ms; for lists, may lag behind |
| `bloge:{<ns>}:executions:<day>:about` | HASH | execution -> status and graph, to choose by |
"""

Topic = tuple[str, str]
"""Namespace and worker topic."""

INDEXES = ("ready", "leases", "retry", "deadlines", "dead", "finished", "topic")
"""The keys that every script of a topic declares, in their order."""

EXECUTION_KEYS = ("journal", "execution")
"""The keys that every script of an execution declares, in their order."""

LISTING_KEYS = ("days",)
"""The keys that every script of a listing declares."""

_DAY_MS = 86_400_000

NAMESPACES = "bloge:namespaces"


def topic_base(namespace: str, worker_topic: str) -> str:
    """Return what all keys of a topic begin with."""
    return f"bloge:{{{namespace}/t/{worker_topic}}}:"


def topic_keys(namespace: str, worker_topic: str) -> list[str]:
    """Return the declared keys of a topic's scripts."""
    base = topic_base(namespace, worker_topic)
    return [base + index for index in INDEXES]


def wake_channel(namespace: str, worker_topic: str) -> str:
    """Return the sharded channel on which a topic's changes are told."""
    return topic_base(namespace, worker_topic) + "wake"


def execution_base(namespace: str, execution_id: str) -> str:
    """Return what all keys of an execution begin with."""
    return f"bloge:{{{namespace}/x/{execution_id}}}:"


def execution_keys(namespace: str, execution_id: str) -> list[str]:
    """Return the declared keys of an execution's scripts."""
    base = execution_base(namespace, execution_id)
    return [base + name for name in EXECUTION_KEYS]


def listing_keys(namespace: str) -> list[str]:
    """Return the declared keys of the scripts that list executions."""
    return [f"bloge:{{{namespace}}}:executions"]


def listed_day(namespace: str, start_ms: int) -> str:
    """Return the key of what the list says of executions that were started on the day of an instant."""
    return f"{listing_keys(namespace)[0]}:{start_ms // _DAY_MS}:about"


def guard(key: str) -> str:
    """Return a key that does not exist, in the slot of another one.

    While a slot moves key by key, a node refuses scripts with TRYAGAIN if a declared key is missing. Scripts write keys
    that they cannot declare, such as those of items; one missing key among the declared ones keeps every script from
    starting that could not end.
    """
    return _beside(key, "guard")


def mark(key: str) -> str:
    """Return a key in the slot of another one, which holds nothing that matters."""
    return _beside(key, "mark")


def _beside(key: str, name: str) -> str:
    tag = key[key.index("{") + 1 : key.index("}")] if "{" in key else key
    return f"bloge:{{{tag}}}:{name}"


def topics(namespace: str) -> str:
    """Return the key of a namespace's topics."""
    return f"bloge:{{{namespace}}}:topics"


def actions(namespace: str) -> str:
    """Return the key of what people did in a namespace."""
    return f"bloge:{{{namespace}}}:actions"


def action_reply(namespace: str, request_id: str) -> str:
    """Return the key of an action's reply."""
    return f"bloge:{{{namespace}}}:action:{request_id}"


def run(namespace: str, run_id: str) -> str:
    """Return the key of how far a long action has come."""
    return f"bloge:{{{namespace}}}:run:{run_id}"


def workers(namespace: str) -> str:
    """Return the key of the workers that a namespace saw lately."""
    return f"bloge:{{{namespace}}}:workers"


def worker_cards(namespace: str) -> str:
    """Return the key of what is known of a namespace's workers."""
    return f"bloge:{{{namespace}}}:worker-cards"


def leaving_workers(namespace: str) -> str:
    """Return the key of the workers that were asked to leave."""
    return f"bloge:{{{namespace}}}:leaving-workers"


def topic_of_channel(channel: str) -> tuple[str, str]:
    """Return namespace and topic of a wake channel."""
    namespace, _, worker_topic = channel[channel.index("{") + 1 : channel.index("}")].partition("/t/")
    return namespace, worker_topic
