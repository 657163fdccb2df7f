"""What can keep a server from starting."""


class StartupError(Exception):
    """The server cannot start; the message names the cause and the fix."""
