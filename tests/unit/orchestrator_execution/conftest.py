import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bloge_orchestrator.cli import main

Bloge = Callable[..., Result]


@pytest.fixture
def bloge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bloge:
    """The command, run in an empty folder; it must not show a traceback of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    known = set(sys.modules)

    def run(*arguments: str | os.PathLike[str], stdin: str | bytes | None = None) -> Result:
        result = CliRunner().invoke(main, [os.fspath(each) for each in arguments], input=stdin)
        for name in set(sys.modules) - known:  # a test's own modules are imported anew by the next test
            if (tmp_path / f"{name}.py").exists():
                del sys.modules[name]
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        assert "bloge_orchestrator/" not in result.stderr
        return result

    return run
