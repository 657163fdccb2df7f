"""`bloge topics`."""

from collections.abc import Callable

import click
from google.protobuf.json_format import MessageToDict

from bloge.remote_workers.v1 import ops_service_pb2 as ops
from bloge_orchestrator.cli.connecting import about_topic, with_control_plane
from bloge_orchestrator.cli.item_view import age_of
from bloge_orchestrator.cli.options import Command, Connection, action_options, connection_options, json_option
from bloge_orchestrator.cli.output import print_json, print_rows, safe
from bloge_orchestrator.control_plane import ControlPlane

_COLUMNS = ("TOPIC", "READY", "CLAIMED", "RETRY-WAIT", "DEAD", "FINISHED", "OLDEST READY", "STATE")
_AS_THE_SERVER, _NO_LIMIT = -1, 0
_LIMIT_MAX = 1_000_000_000
_POLICIES = {
    "keep": ops.DEAD_LETTER_POLICY_KEEP,
    "discard-oldest": ops.DEAD_LETTER_POLICY_DISCARD_OLDEST,
    "server": ops.DEAD_LETTER_POLICY_UNSPECIFIED,
}


def _limit(_context: click.Context, _parameter: click.Parameter, text: str | None) -> int | None:
    """Return what the wire has for a number, `none` or `server`."""
    if text is None:
        return None
    words = {"server": _AS_THE_SERVER, "none": _NO_LIMIT}
    if text in words:
        return words[text]
    if text.isascii() and text.isdigit() and 0 < int(text) <= _LIMIT_MAX:
        return int(text)
    raise click.BadParameter(f"{text!r} is no limit; give 1 to {_LIMIT_MAX:,}, `none`, or `server` for the server's")


def _limit_option(name: str, text: str) -> Callable[[Command], Command]:
    return click.option(name, callback=_limit, metavar="N|none|server", help=text)


@click.group()
def topics() -> None:
    """See, pause, resume and configure worker topics."""


@topics.command("list")
@connection_options
@json_option
def list_(connection: Connection, *, as_json: bool) -> None:
    """List topics with their counts."""

    async def work(control_plane: ControlPlane) -> list[ops.Topic]:
        return [topic async for topic in control_plane.operations.topics(connection.namespace)]

    found = with_control_plane(connection, work)
    if as_json:
        print_json([_document(topic) for topic in found])
    elif found:
        print_rows(_COLUMNS, map(_row, found))
    else:
        click.echo("no topics: nothing was ever enqueued here", err=True)


@topics.command()
@click.argument("topic")
@connection_options
@json_option
def show(topic: str, connection: Connection, *, as_json: bool) -> None:
    """Show one topic: its counts and its limits."""

    async def work(control_plane: ControlPlane) -> ops.Topic:
        return await control_plane.operations.topic(connection.namespace, topic)

    _print(about_topic(connection, topic, work), as_json=as_json)


@topics.command()
@click.argument("topic")
@action_options
@connection_options
def pause(topic: str, action: ops.Action, connection: Connection) -> None:
    """Stop claims of a topic; what is claimed goes on."""
    request = ops.PauseTopicRequest(namespace=connection.namespace, worker_topic=topic, action=action)
    about_topic(connection, topic, lambda control_plane: control_plane.operations.pause_topic(request))
    click.echo(f"{topic} is paused: nothing more is claimed until `bloge topics resume {topic}`")


@topics.command()
@click.argument("topic")
@action_options
@connection_options
def resume(topic: str, action: ops.Action, connection: Connection) -> None:
    """Allow claims of a topic again."""
    request = ops.ResumeTopicRequest(namespace=connection.namespace, worker_topic=topic, action=action)
    about_topic(connection, topic, lambda control_plane: control_plane.operations.resume_topic(request))
    click.echo(f"{topic} is open")


@topics.command()
@click.argument("topic")
@click.option(
    "--backlog-limit",
    callback=_limit,
    metavar="N|none|server",
    help="Most items that may be ready or waiting; more are refused.",
)
@click.option("--dead-letter-limit", callback=_limit, metavar="N|none|server", help="Most dead letters.")
@click.option(
    "--dead-letter-policy", type=click.Choice(list(_POLICIES)), help="What happens to dead letters beyond the limit."
)
@action_options
@connection_options
@json_option
def configure(
    topic: str,
    backlog_limit: int | None,
    dead_letter_limit: int | None,
    dead_letter_policy: str | None,
    action: ops.Action,
    connection: Connection,
    *,
    as_json: bool,
) -> None:
    """Set a topic's own limits, or give them back to the server; also before anything was enqueued there.

    A limit is a number, `none`, or `server` for what the server says.
    """
    if backlog_limit is None and dead_letter_limit is None and dead_letter_policy is None:
        raise click.UsageError("say what: --backlog-limit, --dead-letter-limit or --dead-letter-policy")
    request = ops.ConfigureTopicRequest(
        namespace=connection.namespace,
        worker_topic=topic,
        backlog_limit=backlog_limit,
        dead_letter_limit=dead_letter_limit,
        dead_letter_policy=None if dead_letter_policy is None else _POLICIES[dead_letter_policy],
        action=action,
    )

    async def work(control_plane: ControlPlane) -> ops.Topic:
        return await control_plane.operations.configure_topic(request)

    _print(with_control_plane(connection, work), as_json=as_json)


def _row(topic: ops.Topic) -> tuple[str, ...]:
    return (
        topic.worker_topic,
        f"{topic.ready_count:,}",
        f"{topic.claimed_count:,}",
        f"{topic.retry_wait_count:,}",
        f"{topic.dead_letter_count:,}",
        f"{topic.finished_count:,}",
        age_of(topic.oldest_ready_age) if topic.HasField("oldest_ready_age") else "",
        "paused" if topic.paused else "open",
    )


def _print(topic: ops.Topic, *, as_json: bool) -> None:
    if as_json:
        print_json(_document(topic))
        return
    policy = ops.DeadLetterPolicy.Name(topic.dead_letter_policy).removeprefix("DEAD_LETTER_POLICY_")
    facts = dict(zip(_COLUMNS, _row(topic), strict=True))
    facts |= {
        "BACKLOG LIMIT": f"{topic.backlog_limit:,}" if topic.backlog_limit else "none",
        "DEAD LIMIT": f"{topic.dead_letter_limit:,}, then {policy}" if topic.dead_letter_limit else "none",
    }
    for name, fact in facts.items():
        if fact:
            click.echo(f"{name.lower() + ':':<15}{safe(fact)}")


def _document(topic: ops.Topic) -> dict[str, object]:
    document: dict[str, object] = MessageToDict(topic, always_print_fields_with_no_presence=True)
    return document
