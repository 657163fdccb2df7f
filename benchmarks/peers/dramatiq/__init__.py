"""The programs of dramatiq."""
