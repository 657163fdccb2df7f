"""The programs of arq."""
