"""The programs of saq."""
