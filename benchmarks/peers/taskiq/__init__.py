"""The programs of taskiq."""
