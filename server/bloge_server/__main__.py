"""`bloge-server`: runs a control plane; `bloge-server audit` checks a store."""

import sys

from bloge_server import audit_command, config, processes
from bloge_server.errors import StartupError


def main() -> int:
    """Run a server; return the exit code."""
    try:
        if sys.argv[1:2] == ["audit"]:
            return audit_command.main(sys.argv[2:])
        processes.serve(config.load(sys.argv[1:]))
    except StartupError as error:
        print(f"bloge-server: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
