"""Loads and benchmarks on whole processes."""
