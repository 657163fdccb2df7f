"""Chaos runs: real processes, injected faults, a recorded history, and validators that judge it."""
