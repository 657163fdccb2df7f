"""Graphs of a small shop: a foreach over remote nodes, a branch with a fallback, a sub-graph around a remote node."""
