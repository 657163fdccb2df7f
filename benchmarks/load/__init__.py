"""A load tester: what a deployment does under load, and whether every item ends exactly once."""
