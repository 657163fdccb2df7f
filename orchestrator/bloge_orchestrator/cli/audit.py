"""`bloge audit`."""

import click
from google.protobuf.json_format import MessageToDict

from bloge.remote_workers.v1 import ops_service_pb2 as ops
from bloge_orchestrator.cli.connecting import with_control_plane
from bloge_orchestrator.cli.options import Connection, action_options, connection_options, json_option
from bloge_orchestrator.cli.output import print_json, safe
from bloge_orchestrator.cli.problems import FAILED
from bloge_orchestrator.control_plane import ControlPlane

_PROGRESS_EVERY = 100_000


@click.command()
@click.option("--topic", default="", help="Only this worker topic.  [default: all of the namespace]")
@click.option("--repair", is_flag=True, help="Put right what can be put right.")
@action_options
@connection_options
@json_option
def audit(topic: str, action: ops.Action, connection: Connection, *, repair: bool, as_json: bool) -> None:
    """Prove that every item stands where its status asks for; ends with 1 if something is wrong and stays so.

    A store in use may show what is just moving; a finding that stays is one.
    """
    request = ops.AuditRequest(namespace=connection.namespace, worker_topic=topic, repair=repair, action=action)

    async def work(control_plane: ControlPlane) -> tuple[int, list[ops.AuditFinding]]:
        count, findings = 0, list[ops.AuditFinding]()
        async for step in control_plane.operations.audit(request):
            if step.item_count // _PROGRESS_EVERY > count // _PROGRESS_EVERY:
                click.echo(f"  {step.item_count:,} checks so far", err=True)
            count = step.item_count
            for finding in step.findings:
                findings.append(finding)
                if not as_json:
                    click.echo(_line(finding))
        return count, findings

    count, findings = with_control_plane(connection, work)
    left = sum(not finding.repaired for finding in findings)
    if as_json:
        print_json({"checks": count, "findings": [MessageToDict(each) for each in findings], "left": left})
    else:
        click.echo(f"{count:,} checks, {left} findings left" + ("; --repair mends them" if left and not repair else ""))
    if left:
        raise SystemExit(FAILED)


def _line(finding: ops.AuditFinding) -> str:
    where = f"{finding.item.worker_topic}/{finding.item.item_id}".rstrip("/")
    return safe(f"{'repaired' if finding.repaired else 'FOUND'}  {where}: {finding.problem}")
