"""Whole processes, started by the tests of this folder."""

from support.brisk import brisk_address, start_worker, wire

__all__ = ["brisk_address", "start_worker", "wire"]
