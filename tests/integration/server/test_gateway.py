"""The JSON gateway: the original system's flows with its field names, status codes and error body, on our leases."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from bloge.remote_workers.v1 import work_item_pb2 as pb
from support.server import ServerProcess, running_process
from support.wire import PATIENCE, TOPIC, Wire, seconds

JOB = {
    "itemId", "claimOwner", "claimToken", "claimUntil", "status", "priority", "retryCount", "maxRetries", "revision",
    "lastError", "envelope", "payloadBase64", "createdAt", "updatedAt",
}  # fmt: skip
DEAD_LETTER = {
    "itemId", "instanceId", "definitionKey", "versionId", "tenantId", "namespace", "businessKey", "shardId", "itemType",
    "nodeId", "waitId", "taskId", "priority", "retryCount", "maxRetries", "payload", "payloadRef", "lastError",
    "deadLetterReason", "firstSeenAt", "deadLetteredAt",
}  # fmt: skip
ENVELOPE = {
    "operatorRef": "VisionModel",
    "workerTopic": TOPIC,
    "input": {"items": [1, 2]},
    "executionContext": {"definitionKey": "label_batch", "versionId": "3", "tenantId": "t1", "businessKey": "b-9"},
}


class Gateway:
    """A client of the gateway in one namespace.

    Args:
        http: the client.
        namespace: the namespace.
    """

    def __init__(self, http: httpx.Client, namespace: str) -> None:
        self._http = http
        self._headers = {"X-Namespace": namespace}

    def post(self, path: str, body: object = None, **headers: str) -> httpx.Response:
        """Post JSON."""
        return self._http.post(f"/api/v1{path}", json=body, headers={**self._headers, **headers})

    def get(self, path: str, **query: str | int) -> httpx.Response:
        """Read."""
        return self._http.get(f"/api/v1{path}", params=query, headers=self._headers)

    def enqueue(self, item_id: str = "a", **body: object) -> None:
        """Enqueue an item that is new."""
        created = self.post("/work-items", {"workerTopic": TOPIC, "itemId": item_id, **body})
        assert created.status_code == 201, created.text
        assert created.json() == {"itemId": f"{TOPIC}:{item_id}", "created": True}

    def poll(self, **body: object) -> list[dict[str, Any]]:
        """Poll for jobs."""
        answer = self.post(f"/remote-workers/{TOPIC}/poll", {"workerId": "w1", **body})
        assert answer.status_code == 200, answer.text
        jobs: list[dict[str, Any]] = answer.json()
        return jobs

    def poll_one(self, **body: object) -> dict[str, Any]:
        """Poll for exactly one job."""
        (job,) = self.poll(**body)
        return job

    def report(self, job: dict[str, Any], verb: str, **body: object) -> httpx.Response:
        """Report on a job, with its revision where that is asked for."""
        revision = {"expectedRevision": job["revision"]} if verb in {"complete", "fail"} else {}
        path = f"/remote-workers/items/{job['itemId']}/{verb}"
        return self.post(path, {"leaseToken": job["claimToken"], **revision, **body})

    def dead(self, item_id: str = "a", **body: object) -> None:
        """Make a dead letter."""
        self.enqueue(item_id, **body)
        failed = self.report(self.poll_one(), "fail", error=f"broken {item_id}", errorType="Boom")
        assert failed.status_code == 204


@pytest.fixture
def gateway(http: httpx.Client, namespace: str) -> Gateway:
    """Return a client in a namespace of the test's own."""
    return Gateway(http, namespace)


def problem(answer: httpx.Response) -> tuple[int, str, list[str]]:
    """Return status, error code and details of a refusal, whose body must have the common form."""
    body = answer.json()
    assert {"errorCode", "message", "status", "timestamp", "path", "details"} <= set(body)
    assert body["status"] == answer.status_code
    return answer.status_code, body["errorCode"], body["details"]


def test_register(gateway: Gateway, wire: Wire) -> None:
    """It answers what the original does; nothing is assigned by deployments here."""
    answer = gateway.post("/remote-workers/register", {"workerId": "w1", "workerTopic": TOPIC}, **{"X-Tenant-Id": "t1"})
    assert answer.status_code == 200
    assert answer.json() == {
        "workerId": "w1", "workerTopic": TOPIC, "tenantId": "t1", "namespace": wire.namespace, "assignments": [],
    }  # fmt: skip


def test_poll_gives_jobs_in_the_originals_words(gateway: Gateway, wire: Wire) -> None:
    """A graph's node shows its envelope; attempts are counted as the original counts them."""
    wire.put("a", payload=json.dumps(ENVELOPE).encode(), priority=40, retry_policy=pb.RetryPolicy(attempts=3))
    job = gateway.poll_one()
    assert set(job) == JOB
    assert job["itemId"] == f"{TOPIC}:a"
    assert (job["claimOwner"], job["status"], job["priority"]) == ("w1", "CLAIMED", 40)
    assert (job["retryCount"], job["maxRetries"], job["lastError"]) == (0, 4, None)
    assert job["envelope"] == ENVELOPE
    assert job["revision"] == wire.get("a").fence
    assert gateway.poll() == []


def test_poll_takes_no_more_than_asked_for_and_no_more_than_a_hundred(gateway: Gateway, wire: Wire) -> None:
    """Ten by default, the limit that is asked for, a hundred at most."""
    wire.put(*(f"i{number}" for number in range(130)))
    assert [len(gateway.poll()), len(gateway.poll(limit=3)), len(gateway.poll(limit=1000))] == [10, 3, 100]


def test_poll_waits_if_asked_to(gateway: Gateway, wire: Wire, server_process: ServerProcess) -> None:
    """A worker in shell need not ask every second."""
    with httpx.Client(base_url=f"http://{server_process.http_address}", timeout=PATIENCE) as other:
        wire.put("a", start_delay=seconds(0.5))
        job = Gateway(other, wire.namespace).poll_one(waitTimeout="PT20S")
    assert job["itemId"] == f"{TOPIC}:a"


def test_a_repeated_poll_gives_the_same_jobs(gateway: Gateway) -> None:
    """A request id makes it safe to repeat."""
    gateway.enqueue()
    first = gateway.poll_one(requestId="r1")
    assert gateway.poll_one(requestId="r1")["claimToken"] == first["claimToken"]


def test_heartbeat_extends_the_lease(gateway: Gateway, wire: Wire) -> None:
    """It then ends later; progress is there for the next attempt."""
    gateway.enqueue()
    job = gateway.poll_one(leaseDuration="PT10S")
    extended = gateway.report(job, "heartbeat", leaseDuration="PT1H", progress={"done": 7})
    assert extended.status_code == 200
    assert extended.json()["claimUntil"] > job["claimUntil"]
    assert extended.json()["revision"] == job["revision"]
    assert wire.get("a").progress == b'{"done":7}'


def test_complete_is_idempotent_for_its_lease(gateway: Gateway, wire: Wire) -> None:
    """204, again 204, and 409 for another output."""
    gateway.enqueue()
    job = gateway.poll_one()
    assert gateway.report(job, "complete", output={"label": 7}).status_code == 204
    assert gateway.report(job, "complete", output={"label": 7}).status_code == 204
    refused = gateway.report(job, "complete", output={"label": 8})
    assert problem(refused)[:2] == (409, "INVALID_STATE")
    assert refused.json()["reason"] == "CONFLICTING_REPORT"
    assert wire.get("a").outcome.output == b'{"label":7}'


@pytest.mark.parametrize("output", [None, 0, "text", [1.5, "ü\u2028"], {"a": {"b": None}}, True, 10**30])
def test_any_json_is_an_output(gateway: Gateway, output: object) -> None:
    """And comes back as it was."""
    gateway.enqueue()
    assert gateway.report(gateway.poll_one(), "complete", output=output).status_code == 204
    assert gateway.get(f"/work-items/{TOPIC}:a").json()["outcome"]["output"] == output


def test_fail_spends_the_budget_then_makes_a_dead_letter(gateway: Gateway, wire: Wire) -> None:
    """The last error is shown to the next attempt."""
    gateway.enqueue(retryPolicy={"retryAttempts": 1})
    first = gateway.poll_one()
    assert gateway.report(first, "fail", error="too hot").status_code == 204
    assert gateway.report(first, "fail", error="too hot").status_code == 204
    second = gateway.poll_one(waitTimeout="PT10S")
    assert (second["retryCount"], second["lastError"]) == (1, "WorkerError: too hot")
    assert second["revision"] > first["revision"]
    assert gateway.report(second, "fail", error="too hot", errorType="Heat", traceback="line 1").status_code == 204
    item = wire.get("a")
    assert item.status == pb.WORK_ITEM_STATUS_DEAD_LETTER
    assert (item.attempts[-1].failure.type, item.attempts[-1].failure.traceback) == ("Heat", "line 1")


def test_release_costs_nothing(gateway: Gateway, wire: Wire) -> None:
    """The job is there for the next one at once."""
    gateway.enqueue()
    job = gateway.poll_one()
    assert gateway.report(job, "release", reason="leaving", draining=True).status_code == 204
    assert wire.get("a").retry_count == 0
    assert gateway.poll_one()["itemId"] == job["itemId"]


def test_a_report_of_somebody_else_is_a_conflict(gateway: Gateway) -> None:
    """Another item's token, another revision, a token that is none, and a lease that was superseded: 409 each."""
    gateway.enqueue("a")
    gateway.enqueue("b")
    a, b = gateway.poll()
    wrong = [
        {**a, "claimToken": b["claimToken"]},
        {**a, "revision": a["revision"] + 1},
        {**a, "claimToken": "nonsense"},
        {**a, "claimToken": a["claimToken"] + "x"},
    ]
    assert [problem(gateway.report(job, "complete"))[:2] for job in wrong] == [(409, "INVALID_STATE")] * 4


def test_a_superseded_report_says_by_whom(gateway: Gateway) -> None:
    """The lease ran out, another worker has the job: 409, and the output is kept for people to see."""
    gateway.enqueue()
    late = gateway.poll_one(leaseDuration="PT1S")
    gateway.poll_one(workerId="w2", waitTimeout="PT20S")
    superseded = gateway.report(late, "complete", output="late")
    assert problem(superseded)[:2] == (409, "INVALID_STATE")
    assert superseded.json()["reason"] == "SUPERSEDED"
    assert "w2" in superseded.json()["message"]
    assert "kept" in superseded.json()["message"]


def test_dead_letters_are_listed_and_chosen(gateway: Gateway, wire: Wire) -> None:
    """With the original's fields, filters and pages."""
    wire.put("node", payload=json.dumps(ENVELOPE).encode(), execution_id="e1", node_id="infer")
    assert gateway.report(gateway.poll_one(), "fail", error="broken", errorType="Boom").status_code == 204
    gateway.dead("b")
    gateway.dead("c")
    letters = gateway.get("/dead-letters").json()
    assert [letter["itemId"] for letter in letters] == [f"{TOPIC}:{name}" for name in ("node", "b", "c")]
    node = letters[0]
    assert set(node) == DEAD_LETTER
    assert (node["instanceId"], node["nodeId"], node["shardId"]) == ("e1", "infer", TOPIC)
    assert (node["definitionKey"], node["businessKey"], node["payload"]) == ("label_batch", "b-9", ENVELOPE)
    assert (node["lastError"], node["deadLetterReason"]) == ("Boom: broken", "BUDGET_SPENT")

    def ids(**query: str | int) -> list[str]:
        return [letter["itemId"].partition(":")[2] for letter in gateway.get("/dead-letters", **query).json()]

    assert ids(instanceId="e1") == ["node"]
    assert ids(itemId=f"{TOPIC}:b") == ["b"]
    assert ids(itemId=f"{TOPIC}:b", shardId="other") == []
    assert ids(shardId="other") == []
    assert ids(itemType="EXECUTE_GRAPH") == []
    assert ids(deadLetteredAfter=letters[1]["deadLetteredAt"]) == ["b", "c"]
    assert [ids(page=page, size=2) for page in (0, 1, 2)] == [["node", "b"], ["c"], []]


def test_retry_puts_a_dead_letter_back_once(gateway: Gateway) -> None:
    """The same request id again tells the first answer; without one, what is no dead letter any more is refused."""
    gateway.dead()
    path = f"/dead-letters/{TOPIC}:a/retry"
    first = gateway.post(path, {"requestId": "r1", "actor": "Ada", "reason": "mended", "sourceActionCode": "X"})
    assert first.status_code == 200
    assert (first.json()["status"], first.json()["retriedItemCount"]) == ("RESTORED", 1)
    assert first.json()["idempotentReplay"] is False
    again = gateway.post(path, {"requestId": "r1", "actor": "Ada", "reason": "mended", "sourceActionCode": "X"})
    assert again.json()["idempotentReplay"] is True
    assert problem(gateway.post(path))[:2] == (409, "INVALID_STATE")
    assert gateway.poll_one()["retryCount"] == 0
    assert problem(gateway.post(f"/dead-letters/{TOPIC}:nothing/retry"))[:2] == (404, "NOT_FOUND")


def test_a_producer_enqueues_and_waits(gateway: Gateway, wire: Wire) -> None:
    """Idempotent by id and content, with every policy; the outcome is waited for."""
    policy = {"retryAttempts": 2, "backoff": "PT0.5S", "strategy": "EXPONENTIAL", "nonRetryableErrorTypes": ["Fatal"]}
    body = {"payload": [1], "operatorRef": "Op", "retryPolicy": policy, "suspendTimeout": "PT1H", "priority": 7}
    traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    item = {"workerTopic": TOPIC, "itemId": "a", **body}
    assert gateway.post("/work-items", item, traceparent=traceparent).status_code == 201
    assert gateway.post("/work-items", item).status_code == 200
    assert problem(gateway.post("/work-items", {**item, "payload": [2]}))[:2] == (409, "CONFLICT")
    spec = wire.get("a").spec
    assert spec.trace_context.traceparent == traceparent
    assert (spec.retry_policy.attempts, spec.retry_policy.backoff.ToMilliseconds(), spec.priority) == (2, 500, 7)
    waiting = gateway.get(f"/work-items/{TOPIC}:a", wait="PT0.2S").json()
    assert (waiting["status"], waiting["outcome"], waiting["operatorRef"]) == ("READY", None, "Op")
    gateway.report(gateway.poll_one(), "complete", output="done")
    done = gateway.get(f"/work-items/{TOPIC}:a", wait="PT20S").json()
    assert (done["status"], done["outcome"]["kind"], done["outcome"]["output"]) == ("DONE", "COMPLETED", "done")


def test_an_item_without_an_id_gets_one(gateway: Gateway) -> None:
    """Each request makes another item then."""
    made = {gateway.post("/work-items", {"workerTopic": TOPIC}).json()["itemId"] for _ in range(2)}
    assert len(made) == 2


def test_business_errors_and_bytes_are_shown(gateway: Gateway, wire: Wire) -> None:
    """What gRPC workers report is read over HTTP too; bytes that are no JSON come as base64."""
    wire.put("a", "b", payload=b"\xff\x00")
    first, second = wire.claim(2)
    wire.business_error(first, code="NO_FUNDS", message="none left", details=b'{"needed":5}')
    wire.complete(second, output=b"\xfe")
    outcome = gateway.get(f"/work-items/{TOPIC}:a").json()["outcome"]
    assert (outcome["kind"], outcome["errorType"], outcome["details"]) == ("FAILED", "NO_FUNDS", {"needed": 5})
    item = gateway.get(f"/work-items/{TOPIC}:b").json()
    assert (item["payload"], item["payloadBase64"]) == (None, "/wA=")
    assert (item["outcome"]["output"], item["outcome"]["outputBase64"]) == (None, "/g==")


@pytest.mark.parametrize(
    ("path", "body", "details"),
    [
        ("/register", {"workerTopic": "t"}, ["workerId: is required"]),
        ("/register", {"workerId": "", "workerTopic": "t"}, ["workerId: must be 1 to 128 of "]),
        ("/register", {"workerId": "w", "workerTopic": "t", "wrokers": 1}, ["wrokers: is not known here"]),
        ("/t/poll", {"workerId": "w", "limit": 0}, ["limit: Input should be greater than or equal to 1, got '0'"]),
        ("/t/poll", {"workerId": "w", "limit": "3"}, ["limit: Input should be a valid integer"]),
        ("/t/poll", {"workerId": "w", "leaseDuration": "5 minutes"}, ["leaseDuration: must be an ISO 8601 duration"]),
        ("/t/poll", {"workerId": "w", "leaseDuration": "PT0S"}, ["leaseDuration: must be more than 0"]),
        ("/t/poll", {"workerId": "w", "waitTimeout": "PT1H"}, ["waitTimeout: must be 0 s to 60 s"]),
        ("/t t/poll", {"workerId": "w"}, ["workerTopic: must be 1 to 128 of "]),
        ("/items/t:a/complete", {"leaseToken": "x"}, ["expectedRevision: is required"]),
        ("/items/t:a/complete", {"leaseToken": "x", "expectedRevision": -1}, ["expectedRevision: "]),
        ("/items/t:a/fail", {"leaseToken": "", "expectedRevision": 1, "error": ""}, ["leaseToken: ", "error: "]),
        ("/items/a/release", {"leaseToken": "x"}, ["itemId: must be <worker topic>:<item id>"]),
        ("/register", [], ["body: must be a JSON object"]),
    ],
)
def test_what_is_wrong_is_named_with_the_fix(gateway: Gateway, path: str, body: object, details: list[str]) -> None:
    """Every field at once, in the request's own words."""
    status, code, told = problem(gateway.post(f"/remote-workers{path}", body))
    assert (status, code) == (400, "VALIDATION_FAILED")
    assert len(told) == len(details)
    for expected in details:
        assert any(line.startswith(expected) for line in told), told


@pytest.mark.parametrize(
    ("content", "content_type", "status"),
    [
        (b"{", "application/json", 400),
        (b'{"workerId": NaN}', "application/json", 400),
        (b'{"workerId": "\xff"}', "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b"", "application/json", 400),
        (b"workerId=w", "application/x-www-form-urlencoded", 415),
        (b"{}", "text/plain", 415),
    ],
)
def test_what_is_no_json_is_refused(http: httpx.Client, content: bytes, content_type: str, status: int) -> None:
    """With a reason, and without breaking anything."""
    answer = http.post("/api/v1/remote-workers/register", content=content, headers={"Content-Type": content_type})
    assert problem(answer)[0] == status


def test_an_output_beyond_the_limit_is_refused(gateway: Gateway) -> None:
    """413, and the lease goes on."""
    gateway.enqueue()
    job = gateway.poll_one()
    assert problem(gateway.report(job, "complete", output="x" * 1_100_000))[:2] == (413, "VALIDATION_FAILED")
    assert gateway.report(job, "complete", output="x").status_code == 204


def test_a_namespace_is_checked_and_kept_apart(gateway: Gateway, http: httpx.Client) -> None:
    """An item of one is not there in another."""
    gateway.enqueue()
    assert http.get(f"/api/v1/work-items/{TOPIC}:a").status_code == 404
    refused = http.get(f"/api/v1/work-items/{TOPIC}:a", headers={"X-Namespace": "a b"})
    assert problem(refused)[2][0].startswith("X-Namespace: must be")


def test_the_document_is_served(http: httpx.Client) -> None:
    """It names every path, and says which form each answer has."""
    document = http.get("/openapi.json").json()
    assert set(document["paths"]) == {
        f"/api/v1{path}"
        for path in (
            "/remote-workers/register", "/remote-workers/{workerTopic}/poll",
            "/remote-workers/items/{itemId}/heartbeat", "/remote-workers/items/{itemId}/complete",
            "/remote-workers/items/{itemId}/fail", "/remote-workers/items/{itemId}/release",
            "/dead-letters", "/dead-letters/{itemId}/retry", "/work-items", "/work-items/{itemId}",
        )
    }  # fmt: skip


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Return a server whose topics take one item."""
    with running_process(tmp_path_factory.mktemp("small"), "--backlog-limit", "1") as server:
        yield server


def test_a_full_backlog_says_when_to_try_again(small: ServerProcess) -> None:
    """429 with Retry-After."""
    with httpx.Client(base_url=f"http://{small.http_address}", timeout=PATIENCE) as http:
        gateway = Gateway(http, "ns")
        gateway.enqueue("a")
        refused = gateway.post("/work-items", {"workerTopic": TOPIC})
        assert problem(refused)[:2] == (429, "BACKLOG_FULL")
        assert int(refused.headers["Retry-After"]) >= 1
