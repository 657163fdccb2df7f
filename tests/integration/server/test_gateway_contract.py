"""The gateway does what its OpenAPI document says, whatever it is sent."""

import re
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import Case
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks

from bloge_server.http.gateway import openapi, routes
from support.server import ServerProcess

DOCUMENT = openapi.document(routes.endpoints(None), "1.0")  # type: ignore[arg-type]  # only described, never called
SCHEMA = schemathesis.openapi.from_dict(DOCUMENT)
PATTERN = re.compile(DOCUMENT["components"]["schemas"]["PollBody"]["properties"]["waitTimeout"]["pattern"])
CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.response_headers_conformance,
    checks.negative_data_rejection,
    checks.missing_required_header,
    checks.unsupported_method,
]


@pytest.mark.timeout(240)
@SCHEMA.parametrize()
@settings(max_examples=40, suppress_health_check=list(HealthCheck), derandomize=True)
def test_every_answer_is_as_described(case: "Case[Any]", server_process: ServerProcess) -> None:
    """No request breaks the server, wrong ones are refused, and answers have the document's statuses and forms."""
    _wait_for_nothing(case)
    case.call_and_validate(base_url=f"http://{server_process.http_address}", checks=CHECKS)


def _wait_for_nothing(case: "Case[Any]") -> None:
    """Make valid waits short: nothing here has an outcome, and nobody enqueues while somebody polls."""
    for container, name in ((case.query, "wait"), (case.body, "waitTimeout")):
        if isinstance(container, dict) and PATTERN.fullmatch(str(container.get(name, ""))):
            container[name] = "PT0S"
