"""One worker topic as a small pure model: the specification of the store, which the random histories hold it to.

Given the same calls, clock and dice it predicts every answer and where every item then stands. Read it in this order:

- `item`: what an item remembers;
- `call`: what befalls an item in a call, by itself or by what others decide: lapses, retries, dead letters, outcomes;
- `reports`: how a worker's report is judged, and what it does;
- `acts`: what people and orchestrators do to an item;
- `topic`: the calls themselves, over many items.

It is written from the contract: the promises L1 to L12 (`docs/promises.md`), the life of a work item
(`docs/lifecycle.md`), the decisions (`docs/adr/`). Where those are silent, a comment that begins with "Decided" says
what was chosen. It shares the vocabulary of `bloge_server.domain`, and not a line with the store's scripts.
"""
