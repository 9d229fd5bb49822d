"""The requests and exceptions of the SDK match the operations and problem codes of the service."""

import inspect
import pickle
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from starlette.routing import compile_path

import quorate.client as sdk
from quorate.api.registry import NATS_OPERATIONS
from quorate.api.routes import ENDPOINTS
from quorate.client import (
    list_requests,
    mail_requests,
    preset_requests,
    requests,
    schedule_requests,
    session_requests,
    task_requests,
)
from quorate.client.errors import (
    ConflictError,
    NotFoundError,
    QuorateError,
    RequestFailedError,
    UnauthorizedError,
    UnavailableError,
)
from quorate.client.problem_errors import ERRORS_BY_CODE, error_from_problem
from quorate.client.rejections import RejectedError
from quorate.client.request_builder import Request
from quorate.contracts.problems import KINDS as PROBLEMS
from quorate.domain.identity.agents import AgentRef
from quorate.domain.shared.errors import LimitReached

ME = AgentRef(id="agent_1")
ALL: tuple[Request[Any], ...] = (
    requests.register("me", "outreach"),
    requests.heartbeat(ME),
    requests.deregister(ME),
    requests.remove_agent("agent_1"),
    requests.deactivate_agent("agent_1", "because", tenant_id="tenant-1"),
    requests.end_lease("lease-1", "because"),
    requests.end_consensus("request-1", "because", tenant_id="tenant-1"),
    requests.explain("lease-1"),
    requests.list_agents(after="x", limit=3),
    requests.get_agent("agent_1"),
    requests.get_config("agent_1"),
    requests.put_config("agent_1", {"humanizer_enabled": True}),
    requests.acquire_lease(ME, "user@example.com", intent="outreach", duration_minutes=0.5),
    requests.renew_lease("lease-1", duration_minutes=2),
    requests.release_lease("lease-1"),
    requests.get_lease("lease-1"),
    requests.list_leases(agent_id="agent_1", contact_email="user@example.com", after="x", limit=3),
    requests.request_send(ME, "user@example.com", fence=3),
    requests.request_consensus(
        ME,
        action="pause",
        contact_email="user@example.com",
        reason="why",
        timeout_minutes=2,
        electorate="snapshot",
        proposer_votes=False,
        floor=0.5,
    ),
    requests.get_consensus("request-1"),
    requests.list_consensus(status="pending", after="x", limit=3),
    requests.list_votes("request-1", after="x", limit=3),
    requests.list_electorate("request-1", after="x", limit=3),
    requests.cancel_consensus(ME, "request-1", reason="because"),
    requests.cast_vote(ME, "request-1", "approve", "because"),
    requests.list_notifications(ME, after=3, limit=3),
    requests.list_notifications(ME, after=3, limit=3, wait_seconds=2.5),
    requests.list_events(after=3, limit=3, type="VoteCast", agent_id="agent_1"),
    requests.list_contents(after=3, limit=3),
    requests.list_contents(ids=["msg_1", "msg_2"]),
    requests.issue_key("agent", "me", "tenant-1", expires_in_seconds=60),
    requests.list_keys(tenant_id="tenant-1", after="x", limit=3),
    requests.rotate_key("key-1", overlap_seconds=60, expires_in_seconds=120),
    requests.revoke_key("key-1"),
    requests.get_own_key(),
    requests.create_tenant("tenant-1"),
    requests.list_tenants(),
    requests.get_tenant("acme"),
    requests.suspend_tenant("acme"),
    requests.resume_tenant("acme"),
    requests.pause_tenant("acme", "because"),
    requests.unpause_tenant("acme", "because"),
    requests.set_tenant_limits("acme", {"events_per_day": 5}),
    requests.get_mail_domain("acme"),
    requests.set_mail_domain("acme", "acme.example"),
    requests.get_quotas(),
    session_requests.list_sessions(ME, "part", cursor="1.1.k"),
    session_requests.read_history(ME, "agent:me:main", after=3, mark_read=True),
    session_requests.search_sessions(ME, "two words", session_key="agent:me:main"),
    session_requests.send_message(ME, "agent:me:main", "hello", context="label"),
    session_requests.create_session(ME, "agent:me:plan", label="Plan"),
    session_requests.delete_session(ME, "agent:me:plan", force=True),
    session_requests.branch_session(ME, "other", key="agent:me:main", fork_point=0),
    session_requests.session_state(ME, "set", "plan", key="step", value=None),
    list_requests.task_list(ME, "claim", id="1", expected_version=2),
    schedule_requests.schedule(ME, "get", id="sched_1"),
    session_requests.list_all_sessions("part", after="1.1.k", limit=3),
    list_requests.list_all_items("weekly", status="pending", after="weekly/1", limit=3),
    schedule_requests.list_all_schedules(after="sched_1", limit=3),
    preset_requests.list_tools("mcp"),
)
TABLE = {endpoint.name: endpoint for endpoint in ENDPOINTS}
MAIL: tuple[Request[Any], ...] = (
    mail_requests.send(ME, ["bob@example.com"], "s", "t", html="h", in_reply_to="msg_1"),
    mail_requests.list_inbox(ME, unread_only=True, kind="TASK", task_id="7", since="3", limit=3),
    mail_requests.list_inbox(ME, wait_seconds=2.5),
    mail_requests.list_sent(ME, cursor="3.1", limit=3),
    mail_requests.get_message(ME, "msg_1", mark_read=False),
    mail_requests.get_attachment(ME, "msg_1", 2),
    mail_requests.get_thread(ME, "thr_1", order="desc", cursor="3.1"),
    mail_requests.search(ME, "two words", after=datetime(2026, 3, 1, tzinfo=UTC)),
    mail_requests.mark_read(ME, "msg_1"),
    mail_requests.mark_unread(ME, "msg_1"),
    mail_requests.acknowledge(ME, "msg_1"),
    mail_requests.star(ME, "msg_1", starred=None),
    mail_requests.delete_message(ME, "msg_1"),
    mail_requests.get_account(ME),
    mail_requests.get_policy(ME),
    mail_requests.set_policy(ME, "open", block=["eve"]),
)
ALL += tuple(one for one in MAIL if one.name in TABLE)
ALL += (
    task_requests.spawn(ME, "t", context="c", active_tools=["a"], tool_choice="any"),
    task_requests.status(ME, "task_1"),
    task_requests.result(ME, "task_1"),
    task_requests.cancel(ME, "task_1"),
    task_requests.list_tasks(ME, status="running", cursor=3),
    task_requests.get(ME, "task_1", after=3),
    task_requests.get(ME, "task_1", wait_seconds=2.5),
    task_requests.get_artifact(ME, "task_1", "artifact_1"),
    task_requests.answer(ME, "task_1", "input_1", "yes"),
    task_requests.claim(ME, ["router"], wait_seconds=2.5),
    task_requests.renew(ME, "task_1", 3),
    task_requests.progress(ME, "task_1", 3, percent=4, message="m", output="o"),
    task_requests.add_artifact(ME, "task_1", 3, "a", content_type="text/plain", text="t"),
    task_requests.request_input(ME, "task_1", 3, "which?"),
    task_requests.complete(ME, "task_1", 3, "done"),
    task_requests.fail(ME, "task_1", 3, "no", outcome="retry"),
    task_requests.release(ME, "task_1", 3),
)
OVER_NATS = {endpoint.name for endpoint in NATS_OPERATIONS}
NOT_IN_REQUESTS = {"streamEvents", "streamNotifications"}  # They have separate readers.


def request_name(operation: Request[Any]) -> str:
    return operation.name


def test_every_operation_of_the_service_has_a_request() -> None:
    keyed = {
        endpoint.name
        for endpoint in ENDPOINTS
        if endpoint.roles and ("agent" in endpoint.roles or not endpoint.has_snake_case)
    }

    assert keyed - NOT_IN_REQUESTS <= {operation.name for operation in ALL}


@pytest.mark.parametrize("operation", ALL, ids=request_name)
def test_request_matches_its_endpoint(operation: Request[Any]) -> None:
    endpoint = TABLE[operation.name]
    pattern, _, _ = compile_path(endpoint.path)

    assert operation.method == endpoint.method
    assert pattern.fullmatch(operation.path)
    assert operation.is_command == endpoint.command
    assert (operation.body is None) == (endpoint.body is None)
    if endpoint.body is not None:
        endpoint.body.model_validate(operation.body)
    if endpoint.query is not None:
        endpoint.query.model_validate(operation.parameters)


@pytest.mark.parametrize("operation", ALL, ids=request_name)
def test_request_can_use_nats_unless_it_is_a_long_poll_or_a_file(operation: Request[Any]) -> None:
    assert operation.can_use_nats == (
        operation.name in OVER_NATS
        and not operation.long_poll_seconds
        and not operation.is_download  # It may be larger than a message.
    )


@pytest.mark.parametrize(
    "operation", [operation for operation in ALL if operation.name in OVER_NATS], ids=request_name
)
def test_nats_message_has_all_parts_of_the_http_request(operation: Request[Any]) -> None:
    pattern, _, _ = compile_path(TABLE[operation.name].path)
    match = pattern.fullmatch(operation.path)
    assert match is not None
    spread = {**operation.parameters, **(operation.body or {})}
    ids = {operation.message[name] for name in operation.message.keys() - spread.keys()}

    assert spread.items() <= operation.message.items()
    assert ids == set(match.groupdict().values())


def test_untrusted_id_is_quoted_in_the_path() -> None:
    assert requests.get_lease("../../keys?x#y").path.endswith("/lease/..%2F..%2Fkeys%3Fx%23y")


# -- Rejections --------------------------------------------------------------


def test_each_code_has_one_class() -> None:
    assert ERRORS_BY_CODE.keys() == PROBLEMS.keys()
    assert len(set(ERRORS_BY_CODE.values())) == len(ERRORS_BY_CODE)


def expected_kinds() -> Iterator[tuple[str, type[RequestFailedError]]]:
    expected = {
        401: UnauthorizedError,
        403: UnauthorizedError,
        404: NotFoundError,
        409: ConflictError,
    }
    expected |= dict.fromkeys((408, 429, 502, 503, 504), UnavailableError)
    for code, kind in PROBLEMS.items():
        yield (
            code,
            ConflictError
            if issubclass(kind.error, LimitReached) or code == "rate_limit_exceeded"
            else expected.get(kind.status, RejectedError),
        )


@pytest.mark.parametrize(("code", "kind"), list(expected_kinds()))
def test_rejection_has_the_base_class_of_its_status(
    code: str, kind: type[RequestFailedError]
) -> None:
    rejection = error_from_problem({"code": code, "detail": "No."}, PROBLEMS[code].status)

    assert isinstance(rejection, kind)
    assert rejection.code == code


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (403, UnauthorizedError),
        (404, NotFoundError),
        (409, ConflictError),
        (429, UnavailableError),
        (422, RejectedError),
    ],
)
def test_unknown_code_has_the_base_class_of_its_status(
    status: int, kind: type[RequestFailedError]
) -> None:
    rejection = error_from_problem({"code": "moon_is_full", "detail": "Wait."}, status)

    assert isinstance(rejection, RejectedError)
    assert isinstance(rejection, kind)
    assert rejection.code == "moon_is_full"


def test_rejection_can_be_pickled() -> None:
    problem = {"code": "lease_ended", "detail": "Over.", "requestId": "r-1", "leaseStatus": "x"}
    rejection = pickle.loads(pickle.dumps(error_from_problem(problem, 409)))  # noqa: S301 - trusted.

    assert type(rejection) is ERRORS_BY_CODE["lease_ended"]
    assert (rejection.details, rejection.request_id) == ({"leaseStatus": "x"}, "r-1")
    assert str(rejection) == "Over."


def test_every_exported_exception_is_a_quorate_error() -> None:
    exported = {name: getattr(sdk, name) for name in dir(sdk) if not name.startswith("_")}
    exceptions = {
        name: found
        for name, found in exported.items()
        if inspect.isclass(found) and issubclass(found, BaseException)
    }

    assert exceptions
    assert [name for name in exceptions if not name.endswith("Error")] == []
    assert [name for name, one in exceptions.items() if not issubclass(one, QuorateError)] == []
