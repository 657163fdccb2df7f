"""Ours alone: what grows with a backlog, what idle parts cost, how far unary calls are from their limit."""
