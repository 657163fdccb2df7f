"""The programs of nats."""
