"""The smallest worker and the smallest producer."""
