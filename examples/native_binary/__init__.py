"""A program that is not Python, run by a worker: with cancellation, a deadline, and its own words for its errors."""
