"""The `bloge` command."""

from bloge_orchestrator.cli import main

if __name__ == "__main__":
    main(prog_name="bloge")
