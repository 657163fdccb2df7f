"""BLOGE graphs: DSL, compiler and executions."""

from bloge_orchestrator.builder import Body, GraphBuilder, expr
from bloge_orchestrator.compiled import CompiledGraph, CompiledNode
from bloge_orchestrator.compiler import check_source, compile_file, compile_source, compile_spec
from bloge_orchestrator.diagnostics import Diagnostic, GraphInvalid, Severity, Stage
from bloge_orchestrator.errors import (
    ControlPlaneUnreachableError,
    ExecutionLostError,
    InvalidAddressError,
    InvalidExecutionError,
    OrchestratorError,
)
from bloge_orchestrator.execution.events import Event, ExecutionStatus
from bloge_orchestrator.execution.failure import NodeError
from bloge_orchestrator.execution.result import ExecutionResult, NodeResult
from bloge_orchestrator.execution.state import NodeStatus
from bloge_orchestrator.graph import GraphSpec, NodeKind, NodeSpec, RetryPolicy
from bloge_orchestrator.handle import ExecutionHandle, ExecutionInfo
from bloge_orchestrator.operators import ExecutionContext, OperatorContext, OperatorRegistry
from bloge_orchestrator.orchestrator import Orchestrator
from bloge_orchestrator.remote import RemoteWorkerOperator
from bloge_orchestrator.serving import Serving

__all__ = [
    "Body",
    "CompiledGraph",
    "CompiledNode",
    "ControlPlaneUnreachableError",
    "Diagnostic",
    "Event",
    "ExecutionContext",
    "ExecutionHandle",
    "ExecutionInfo",
    "ExecutionLostError",
    "ExecutionResult",
    "ExecutionStatus",
    "GraphBuilder",
    "GraphInvalid",
    "GraphSpec",
    "InvalidAddressError",
    "InvalidExecutionError",
    "NodeError",
    "NodeKind",
    "NodeResult",
    "NodeSpec",
    "NodeStatus",
    "OperatorContext",
    "OperatorRegistry",
    "Orchestrator",
    "OrchestratorError",
    "RemoteWorkerOperator",
    "RetryPolicy",
    "Serving",
    "Severity",
    "Stage",
    "check_source",
    "compile_file",
    "compile_source",
    "compile_spec",
    "expr",
]
