"""Executions of graphs: events, the state they fold to, what is decided on it, and the shell that acts."""
