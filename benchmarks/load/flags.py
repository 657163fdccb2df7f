"""The command line of a load: a profile's fields are its flags."""

import argparse
import ast
import inspect
from dataclasses import Field, fields
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from benchmarks.load.profiles import PROFILES, Profile, ProfileError, Topics


def parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command: one sub-command a profile."""
    top = argparse.ArgumentParser(
        prog="bloge-load", description="Puts a load on a server, and checks that every item ended exactly once."
    )
    commands = top.add_subparsers(dest="profile", metavar="PROFILE", required=True)
    for name, kind in PROFILES.items():
        text = (kind.__doc__ or "").partition("\n")[0]
        command = commands.add_parser(name, help=text, description=kind.__doc__)
        _add_surroundings(command)
        settings = command.add_argument_group("settings of the profile")
        for field in fields(kind):
            _add(settings, field)
    return top


def profile(options: argparse.Namespace) -> Profile:
    """Return the profile that a command line asks for.

    Raises:
        ProfileError: a setting is out of range; it names each one.
    """
    kind = PROFILES[options.profile]
    chosen = kind(**{field.name: getattr(options, field.name) for field in fields(kind)})
    chosen.check()
    return chosen


def topics(text: str) -> Topics:
    """Read `name:share,name:share`; a share left out is 1.

    Raises:
        ProfileError: a share is no whole number.
    """
    pairs = [each.partition(":")[::2] for each in text.split(",")]
    try:
        return tuple((name.strip(), int(share or 1)) for name, share in pairs)
    except ValueError as error:
        raise ProfileError(f"topics: {text!r}; name:share,name:share with whole numbers") from error


def _add_surroundings(command: argparse.ArgumentParser) -> None:
    where = command.add_argument_group("where it runs")
    where.add_argument("--address", help="a server that runs already; without it one is started on an embedded store")
    where.add_argument("--redis-url", help="the store of the server that is started")
    where.add_argument("--server-processes", type=int, default=1, help="its processes, on one port; default: 1")
    where.add_argument("--json", type=Path, help="the file to add the results to; default: in benchmarks/results")
    where.add_argument("--html", type=Path, help="where to write the report; default: in benchmarks/results")


def _add(settings: "argparse._ArgumentGroup", field: "Field[Any]") -> None:
    flag = f"--{field.name.replace('_', '-')}"
    default: Any = field.default
    has_shares = isinstance(default, tuple)
    shown = ",".join(f"{name}:{share}" for name, share in default) if has_shares else default
    text = f"{_comments()[field.name]} Default: {shown}".replace("%", "%%")
    if get_origin(field.type) is Literal:
        settings.add_argument(flag, choices=get_args(field.type), default=field.default, help=text)
    elif has_shares:
        settings.add_argument(flag, type=topics, default=field.default, metavar="NAME:SHARE,...", help=text)
    else:
        settings.add_argument(flag, type=type(field.default), default=field.default, metavar="VALUE", help=text)


@cache
def _comments() -> dict[str, str]:
    """Return what stands under each field of `Profile`: the one place where it is explained."""
    (tree,) = ast.parse(inspect.getsource(Profile)).body
    assert isinstance(tree, ast.ClassDef)
    found: dict[str, str] = {}
    for above, below in zip(tree.body, tree.body[1:], strict=False):
        if isinstance(above, ast.AnnAssign) and isinstance(below, ast.Expr) and isinstance(above.target, ast.Name):
            found[above.target.id] = " ".join(ast.literal_eval(below.value).split())
    return found
