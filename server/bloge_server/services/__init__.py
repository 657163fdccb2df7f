"""The server's background work, one loop or one kind of waiting a file."""
