"""How this SDK names itself."""

from importlib.metadata import PackageNotFoundError, version

try:
    SDK = f"bloge-python/{version('bloge-worker-sdk')}"
except PackageNotFoundError:
    SDK = "bloge-python/unknown"
"""For people, in `Hello`."""
