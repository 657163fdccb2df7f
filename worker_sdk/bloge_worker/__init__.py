"""Python SDK for BLOGE remote workers."""
