"""The words and rules of leasing: pure, with no I/O and no clock."""
