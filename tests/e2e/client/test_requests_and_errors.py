"""Asks and refusals are those of the service: its own tables say what is missing here."""

import pickle
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.routing import compile_path

from quorate.api.nats_commands import NATS_ENDPOINTS
from quorate.api.routes import ENDPOINTS
from quorate.client import requests
from quorate.client.errors import (
    ConflictError,
    NotFoundError,
    RequestFailedError,
    UnauthorizedError,
    UnavailableError,
)
from quorate.client.rejections import ERRORS_BY_CODE, RejectedError, error_from_problem
from quorate.client.requests import Request
from quorate.contracts.problems import KINDS as PROBLEMS
from quorate.domain.identity.agents import AgentRef

ME = AgentRef(id="agent_1")
ALL: tuple[Request[Any], ...] = (
    requests.register("me", "outreach"),
    requests.heartbeat(ME),
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
    requests.cast_vote(ME, "request-1", "approve", "because"),
    requests.list_notifications(ME, after=3, limit=3),
    requests.list_notifications(ME, after=3, limit=3, wait_seconds=2.5),
    requests.issue_key("agent", "me", "tenant-1"),
    requests.list_keys(tenant_id="tenant-1", after="x", limit=3),
    requests.revoke_key("key-1"),
    requests.get_own_key(),
    requests.create_tenant("tenant-1"),
)
OVER_NATS = {endpoint.name for endpoint in NATS_ENDPOINTS}
TABLE = {endpoint.name: endpoint for endpoint in ENDPOINTS}
NOT_ASKED = {"listEvents", "streamEvents", "streamNotifications"}  # They have readers of their own.


def named(ask: Request[Any]) -> str:
    return ask.name


def test_everything_that_the_service_does_can_be_asked() -> None:
    keyed = {endpoint.name for endpoint in ENDPOINTS if endpoint.roles}

    assert {ask.name for ask in ALL} == keyed - NOT_ASKED


@pytest.mark.parametrize("ask", ALL, ids=named)
def test_an_ask_finds_its_endpoint_and_fits_it(ask: Request[Any]) -> None:
    endpoint = TABLE[ask.name]
    pattern, _, _ = compile_path(endpoint.path)

    assert ask.method == endpoint.method
    assert pattern.fullmatch(ask.path)
    assert ask.is_command == endpoint.command
    assert (ask.body is None) == (endpoint.body is None)
    if endpoint.body is not None:
        endpoint.body.model_validate(ask.body)
    if endpoint.query is not None:
        endpoint.query.model_validate(ask.parameters)


@pytest.mark.parametrize("ask", ALL, ids=named)
def test_an_ask_that_agents_have_goes_over_nats_unless_it_waits(ask: Request[Any]) -> None:
    assert ask.can_use_nats == (ask.name in OVER_NATS and not ask.long_poll_seconds)


@pytest.mark.parametrize("ask", [ask for ask in ALL if ask.name in OVER_NATS], ids=named)
def test_one_message_holds_all_that_http_spreads(ask: Request[Any]) -> None:
    pattern, _, _ = compile_path(TABLE[ask.name].path)
    match = pattern.fullmatch(ask.path)
    assert match is not None
    spread = {**ask.parameters, **(ask.body or {})}
    ids = {ask.message[name] for name in ask.message.keys() - spread.keys()}

    assert spread.items() <= ask.message.items()
    assert ids == set(match.groupdict().values())


def test_an_id_from_a_stranger_stays_in_its_place() -> None:
    assert requests.get_lease("../../keys?x#y").path.endswith("/lease/..%2F..%2Fkeys%3Fx%23y")


# -- Refusals ----------------------------------------------------------------


def test_there_is_one_class_for_each_code_and_no_other() -> None:
    assert ERRORS_BY_CODE.keys() == PROBLEMS.keys()
    assert len(set(ERRORS_BY_CODE.values())) == len(ERRORS_BY_CODE)


def kinds_by_status() -> Iterator[tuple[str, type[RequestFailedError]]]:
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
            expected.get(kind.status, RejectedError) if code != "quota_exceeded" else ConflictError,
        )


@pytest.mark.parametrize(("code", "kind"), list(kinds_by_status()))
def test_a_refusal_is_also_of_the_kind_that_tells_what_may_help(
    code: str, kind: type[RequestFailedError]
) -> None:
    refused = error_from_problem({"code": code, "detail": "No."}, PROBLEMS[code].status)

    assert isinstance(refused, kind)
    assert refused.code == code


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
def test_a_code_of_a_newer_service_is_a_refusal_of_its_kind(
    status: int, kind: type[RequestFailedError]
) -> None:
    refused = error_from_problem({"code": "moon_is_full", "detail": "Wait."}, status)

    assert isinstance(refused, RejectedError)
    assert isinstance(refused, kind)
    assert refused.code == "moon_is_full"


def test_a_refusal_survives_pickling() -> None:
    problem = {"code": "lease_ended", "detail": "Over.", "requestId": "r-1", "leaseStatus": "x"}
    refused = pickle.loads(pickle.dumps(error_from_problem(problem, 409)))  # noqa: S301 - our own.

    assert type(refused) is ERRORS_BY_CODE["lease_ended"]
    assert (refused.details, refused.request_id) == ({"leaseStatus": "x"}, "r-1")
    assert str(refused) == "Over."
