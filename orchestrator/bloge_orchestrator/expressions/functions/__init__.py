"""The built-in functions, by name."""

from bloge_orchestrator.expressions.functions import collections, dates, encodings, lambdas, numbers, strings, types
from bloge_orchestrator.expressions.functions.signature import (
    IMPURE_FUNCTIONS,
    Environment,
    Function,
    FunctionTable,
    LambdaValue,
)

FUNCTIONS: FunctionTable = {
    function.name: function
    for module in (strings, numbers, collections, lambdas, types, dates, encodings)
    for function in module.FUNCTIONS.values()
}

__all__ = ["FUNCTIONS", "IMPURE_FUNCTIONS", "Environment", "Function", "FunctionTable", "LambdaValue"]
