"""The graph language: its grammar, its parser and its syntax tree."""

from bloge_orchestrator.dsl.parser import ParsedGraph, parse_expression, parse_graph, parse_type

__all__ = ["ParsedGraph", "parse_expression", "parse_graph", "parse_type"]
