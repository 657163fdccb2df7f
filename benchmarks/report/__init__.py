"""Makes docs/performance.md and its plots from published results."""
