"""The JSON gateway: remote workers, dead letters and producers over plain HTTP, in the words of the original system."""
