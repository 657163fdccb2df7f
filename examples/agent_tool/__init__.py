"""A tool of an agent, run by a remote worker."""
