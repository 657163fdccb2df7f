"""What users might take instead of us, each in a folder and an environment of its own."""
