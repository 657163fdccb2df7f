"""Every code that a finding can have. Codes are stable: programs may act on them, messages are for people."""

from collections.abc import Mapping

CODES: Mapping[str, str] = {
    # ---- the text cannot be read ----
    "source-too-large": "The text is longer than can be read. Move parts of the graph into files that it imports.",
    "invalid-character": "The text holds something that is no character. Save it as UTF-8.",
    "unterminated-string": "A string has no closing quote. It is reported where it starts.",
    "unterminated-comment": "A block comment has no `*/`; inner `/*` count too.",
    "invalid-escape": r"A `\` in a string is followed by something that is no escape. Write `\\` for the sign itself.",
    "invalid-number": "A number is too large: integers have 64 bits.",
    "invalid-duration": "A duration is longer than ten years.",
    "syntax-error": "A word does not fit where it stands. The message says what would.",
    "nesting-too-deep": "Brackets, or graphs in graphs, are nested too deep. Split them up.",
    "missing-graph": "The file does not begin with a graph, or with imports above one.",
    "unknown-member": "A graph, or a foreach, has no such member.",
    "outside-project": "The construct belongs to the language family, but not to this project.",
    # ---- names ----
    "duplicate-id": "A node, a schema, an import or a loop's variable has the name of another one that is seen there.",
    "duplicate-field": "A field or a setting is given twice.",
    "reserved-id": "`ctx` is the name of the input.",
    "invalid-id": "A name is longer than 128 characters, or holds one that a name cannot have.",
    "invalid-topic-name": "A worker topic has 1 to 128 letters, digits, `.`, `_` and `-`.",
    "unknown-dependency": "`depends_on` or an expression names nothing that can be seen from there.",
    "unknown-target": "A branch leads to no node beside it.",
    "unknown-operator": "A local node's operator is not registered here; remote ones are not looked up.",
    "unknown-function": "There is no built-in function of that name.",
    "unknown-type": "A declared type is neither a scalar nor a schema of the graph.",
    "unknown-subgraph": "A sub-graph is neither imported nor a file beside this one.",
    # ---- settings and values ----
    "unknown-field": "A node, or one of its objects, has no such field.",
    "missing-field": "An object lacks a field that it needs, such as `attempts` in `retry`.",
    "wrong-type": "A setting has a value of another type than it takes.",
    "out-of-range": "A setting's value is too small or too large.",
    "conflicting-fields": "Two settings contradict each other.",
    "unused-field": "A setting has no meaning for this kind of node.",
    "wrong-argument": "A function is called with too many or too few arguments, or with a lambda in the wrong place.",
    "forbidden-in-transform": "A transform calls `now`, `uuid` or `secret`. Call them in a node's input.",
    # ---- remote nodes ----
    "unknown-execution-mode": "The only execution mode is `remote`; a node without one runs in the orchestrator.",
    "remote-needs-topic": "A remote node needs a worker topic.",
    "topic-needs-remote": "Only a remote node has a worker topic.",
    "subgraph-remote": "A sub-graph cannot be remote. The nodes inside it can.",
    "missing-timeout": "A node has no timeout, and could take for ever.",
    # ---- constructs ----
    "empty-graph": "A graph has no node.",
    "empty-branch": "A branch has no arm.",
    "empty-foreach": "A foreach has no node inside.",
    "unknown-branch-mode": "A branch is `exclusive` or `inclusive`.",
    "unreachable-arm": "An arm above has the same value, so this one is never chosen.",
    "cycle": "Nodes wait for each other.",
    "invalid-import": "An import's path starts with `./` or `../`.",
    "import-not-found": "An imported file cannot be read.",
    "import-cycle": "Graphs stand in each other.",
    "unused-import": "An imported graph is not used.",
    "missing-input": "A sub-graph is not given a field that its graph declares, and that is not optional.",
    "unknown-input": "A sub-graph is given a field that its graph does not declare.",
    "unknown-output": "An expression reads what a sub-graph or a foreach does not give.",
    "path-too-long": "The ids of a remote node and of what it stands in are too long together to name a work item.",
    "graph-too-large": "A graph has more than 10,000 nodes with all that its sub-graphs bring along.",
}
"""What each code means, and what to do about it."""

WARNINGS = frozenset(
    {"missing-timeout", "unused-field", "unused-import", "unreachable-arm", "unknown-type"}
    | {"missing-input", "unknown-input", "unknown-output"}
)
"""The codes of warnings: a graph with no other findings compiles."""
