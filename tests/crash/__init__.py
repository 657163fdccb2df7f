"""Kills real orchestrators at every boundary of an execution, and compares what another makes of the rest."""
