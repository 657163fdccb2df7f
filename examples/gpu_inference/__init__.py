"""Batch inference on a GPU, or on the CPU where there is none."""
