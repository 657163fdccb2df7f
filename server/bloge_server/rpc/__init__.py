"""Translates between the wire and the domain, and nothing else."""
