"""The programs of temporal."""
