"""The programs of ours."""
