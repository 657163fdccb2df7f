"""Who gets which items: decided without I/O, then done."""
