"""`bloge-server`: runs a control plane; `bloge-server audit` checks a store."""

import asyncio
import sys

from bloge_server import app, audit_command, config
from bloge_server.errors import StartupError
from bloge_server.telemetry import logging

try:
    import uvloop
except ImportError:  # not on Windows
    _loop_factory = None
else:
    _loop_factory = uvloop.new_event_loop


def main() -> int:
    """Run a server; return the exit code."""
    try:
        if sys.argv[1:2] == ["audit"]:
            return audit_command.main(sys.argv[2:])
        settings = config.load(sys.argv[1:])
        logging.configure(settings.log_format, settings.log_level)
        with asyncio.Runner(loop_factory=_loop_factory) as runner:
            runner.run(app.run(settings))
    except StartupError as error:
        print(f"bloge-server: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
