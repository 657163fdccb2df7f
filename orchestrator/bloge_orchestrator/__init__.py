"""BLOGE graphs: DSL, compiler and executions."""

from bloge_orchestrator.builder import GraphBuilder, expr
from bloge_orchestrator.compiler import CompiledGraph, CompiledNode, check_source, compile_source, compile_spec
from bloge_orchestrator.diagnostics import Diagnostic, GraphInvalid, Severity, Stage
from bloge_orchestrator.graph import GraphSpec, NodeKind, NodeSpec, RetryPolicy
from bloge_orchestrator.operators import ExecutionContext, OperatorContext, OperatorRegistry
from bloge_orchestrator.remote import RemoteWorkerOperator

__all__ = [
    "CompiledGraph",
    "CompiledNode",
    "Diagnostic",
    "ExecutionContext",
    "GraphBuilder",
    "GraphInvalid",
    "GraphSpec",
    "NodeKind",
    "NodeSpec",
    "OperatorContext",
    "OperatorRegistry",
    "RemoteWorkerOperator",
    "RetryPolicy",
    "Severity",
    "Stage",
    "check_source",
    "compile_source",
    "compile_spec",
    "expr",
]
