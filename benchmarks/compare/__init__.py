"""Ours beside what users might take instead, measured in one run."""
