"""BLOGE graphs: DSL, compiler and executions."""
