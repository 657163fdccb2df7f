"""The part of `OpsService` that is about topics: counts, pause and resume, limits, the audit."""

from collections.abc import AsyncIterator

from bloge.remote_workers.v1 import ops_service_pb2 as pb
from bloge.remote_workers.v1 import work_item_pb2
from bloge_server.rpc import reports as convert
from bloge_server.rpc.boundary import stream_response, unary
from bloge_server.rpc.fields import Checks
from bloge_server.rpc.known import known_topic
from bloge_server.rpc.page_tokens import from_token, to_token
from bloge_server.rpc.recorded import check_action, detail_of, recorded
from bloge_server.store import topics
from bloge_server.store.actions import Action, ActionLog
from bloge_server.store.audit import Auditor
from bloge_server.store.findings import Finding
from bloge_server.store.redis_store import RedisStore
from bloge_server.store.topics import Setting, TopicView

_TOPIC_PAGE = 100
_MAX_PAGE = 1000
_AS_THE_SERVER = -1
_MAX_LIMIT = 1_000_000_000
_POLICIES = {pb.DEAD_LETTER_POLICY_KEEP: "KEEP", pb.DEAD_LETTER_POLICY_DISCARD_OLDEST: "DISCARD_OLDEST"}


class TopicOps:
    """Topics of a store, for people.

    Args:
        store: where they live.
    """

    def __init__(self, store: RedisStore) -> None:
        self._store = store

    @unary
    async def ListTopics(self, request: pb.ListTopicsRequest) -> pb.ListTopicsResponse:
        """List topics by name, with their counts."""
        checks = Checks()
        namespace = checks.namespace(request.namespace)
        size = checks.number("page_size", request.page_size or _TOPIC_PAGE, 1, _MAX_PAGE)
        checks.done()
        after = from_token(request.page_token)
        names = [name for name in await self._store.topics(namespace) if name > after]
        response = pb.ListTopicsResponse()
        for name in names[:size]:
            response.topics.append(_topic(namespace, name, await topics.describe(self._store, namespace, name)))
        if len(names) > size:
            response.next_page_token = to_token(names[size - 1])
        return response

    @unary
    async def GetTopic(self, request: pb.GetTopicRequest) -> pb.GetTopicResponse:
        """Read one topic."""
        namespace, topic = await known_topic(self._store, request.namespace, request.worker_topic)
        view = await topics.describe(self._store, namespace, topic)
        return pb.GetTopicResponse(topic=_topic(namespace, topic, view))

    @unary
    async def PauseTopic(self, request: pb.PauseTopicRequest) -> pb.PauseTopicResponse:
        """Stop claims of a topic."""
        checks = Checks()
        check_action(checks, request.action)
        checks.done()
        namespace, topic = await known_topic(self._store, request.namespace, request.worker_topic)

        async def act() -> pb.PauseTopicResponse:
            await topics.configure(self._store, namespace, topic, {"paused": 1})
            return pb.PauseTopicResponse()

        log = ActionLog(self._store)
        return await recorded(log, "PauseTopic", (namespace, topic), request, pb.PauseTopicResponse, act)

    @unary
    async def ResumeTopic(self, request: pb.ResumeTopicRequest) -> pb.ResumeTopicResponse:
        """Allow claims of a topic again."""
        checks = Checks()
        check_action(checks, request.action)
        checks.done()
        namespace, topic = await known_topic(self._store, request.namespace, request.worker_topic)

        async def act() -> pb.ResumeTopicResponse:
            await topics.configure(self._store, namespace, topic, {"paused": None})
            return pb.ResumeTopicResponse()

        log = ActionLog(self._store)
        return await recorded(log, "ResumeTopic", (namespace, topic), request, pb.ResumeTopicResponse, act)

    @unary
    async def ConfigureTopic(self, request: pb.ConfigureTopicRequest) -> pb.ConfigureTopicResponse:
        """Set a topic's own limits."""
        checks = Checks()
        namespace = checks.namespace(request.namespace)
        topic = checks.name("worker_topic", request.worker_topic)
        settings = _settings(checks, request)
        check_action(checks, request.action)
        checks.done()

        async def act() -> pb.ConfigureTopicResponse:
            await topics.configure(self._store, namespace, topic, settings)
            view = await topics.describe(self._store, namespace, topic)
            return pb.ConfigureTopicResponse(topic=_topic(namespace, topic, view))

        log = ActionLog(self._store)
        return await recorded(log, "ConfigureTopic", (namespace, topic), request, pb.ConfigureTopicResponse, act)

    @stream_response
    async def Audit(self, request: pb.AuditRequest) -> AsyncIterator[pb.AuditResponse]:
        """Prove that every item stands where it should."""
        checks = Checks()
        namespace = checks.namespace(request.namespace)
        topic = checks.optional_name("worker_topic", request.worker_topic, "")
        check_action(checks, request.action)
        checks.done()
        if request.repair:
            who = request.action
            await ActionLog(self._store).begin(
                Action(namespace, "Audit", topic, who.actor, who.reason, "", b"", detail_of(request))
            )
        checked = 0
        async for step in Auditor(self._store, namespace, topic, repair=request.repair).run():
            checked += step.checked
            yield pb.AuditResponse(item_count=checked, findings=map(_finding, step.findings))
        yield pb.AuditResponse(item_count=checked, done=True)


def _topic(namespace: str, worker_topic: str, view: TopicView) -> pb.Topic:
    oldest = view.oldest_ready_ms
    return pb.Topic(
        namespace=namespace,
        worker_topic=worker_topic,
        paused=view.paused,
        ready_count=view.ready,
        claimed_count=view.claimed,
        retry_wait_count=view.retry_wait,
        dead_letter_count=view.dead,
        finished_count=view.finished,
        oldest_ready_age=convert.duration(oldest) if oldest >= 0 else None,
        backlog_limit=view.limits.backlog,
        dead_letter_limit=view.limits.dead_letters,
        dead_letter_policy=pb.DeadLetterPolicy.Value(f"DEAD_LETTER_POLICY_{view.limits.dead_letter_policy}"),
    )


def _settings(checks: Checks, request: pb.ConfigureTopicRequest) -> dict[Setting, int | str | None]:
    """Return the settings that a request changes; None for what goes back to the server."""
    settings: dict[Setting, int | str | None] = {}
    if request.HasField("backlog_limit"):
        limit = checks.number("backlog_limit", request.backlog_limit, _AS_THE_SERVER, _MAX_LIMIT)
        settings["backlog_limit"] = None if limit == _AS_THE_SERVER else limit
    if request.HasField("dead_letter_limit"):
        limit = checks.number("dead_letter_limit", request.dead_letter_limit, _AS_THE_SERVER, _MAX_LIMIT)
        settings["dead_letter_limit"] = None if limit == _AS_THE_SERVER else limit
    if request.HasField("dead_letter_policy"):
        settings["dead_letter_policy"] = _POLICIES.get(request.dead_letter_policy)
        if request.dead_letter_policy and settings["dead_letter_policy"] is None:
            checks.wrong("dead_letter_policy", "must be KEEP, DISCARD_OLDEST or UNSPECIFIED")
    if not settings:
        checks.wrong("backlog_limit", "must be set, or dead_letter_limit or dead_letter_policy instead")
    return settings


def _finding(finding: Finding) -> pb.AuditFinding:
    return pb.AuditFinding(
        item=work_item_pb2.WorkItemRef(
            namespace=finding.namespace, worker_topic=finding.worker_topic, item_id=finding.item_id
        ),
        problem=finding.problem,
        repaired=finding.repaired,
    )
