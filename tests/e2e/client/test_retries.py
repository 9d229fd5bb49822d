"""A call is tried again while that may help, under one idempotency key, until its deadline."""

import time
from collections.abc import Callable

import httpx2
import pytest

from quorate.client import requests
from quorate.client.errors import RequestFailedError, UnauthorizedError, UnavailableError
from quorate.client.rejections import (
    AgentNotFoundError,
    LeaseConflictError,
    QuotaExceededError,
    RateLimitedError,
    ServiceUnavailableError,
)
from quorate.client.retries import (
    ATTEMPT_SECONDS_MAX,
    PAUSE_SECONDS_MAX,
    PAUSE_SECONDS_MIN,
    RetryPolicy,
)
from quorate.client.transports.failover import FailoverTransport
from quorate.client.transports.http import HttpTransport
from quorate.client.transports.sync_http import Client
from quorate.domain.identity.agents import AgentRef
from tests.e2e.client.clocks import SetClock

ME = AgentRef(name="me")
HEARTBEAT = requests.heartbeat(ME)
ANSWER = {
    "ok": True,
    "agentId": "agent_1",
    "lastHeartbeat": "2026-03-01T12:00:00.000Z",
    "activeUntil": "2026-03-01T12:05:00.000Z",
    "lastNotification": 7,
}


def attempts(clock: SetClock, within: float = 30.0, random: float = 1.0) -> RetryPolicy:
    return RetryPolicy(within, clock=clock, random=lambda: random)


def test_pauses_double_up_to_a_limit() -> None:
    clock = SetClock()
    call = attempts(clock, within=1_000)
    pauses = [call.pause_after(UnavailableError()) for _ in range(9)]

    assert pauses[:3] == [PAUSE_SECONDS_MIN, PAUSE_SECONDS_MIN * 2, PAUSE_SECONDS_MIN * 4]
    assert pauses[-1] == PAUSE_SECONDS_MAX


def test_pauses_are_drawn_by_lot_so_that_agents_do_not_return_together() -> None:
    clock = SetClock()

    assert attempts(clock, random=0.0).pause_after(UnavailableError()) == PAUSE_SECONDS_MIN / 2
    assert attempts(clock, random=1.0).pause_after(UnavailableError()) == PAUSE_SECONDS_MIN


def test_the_pause_is_as_long_as_the_service_asks_for_and_a_little_longer_by_lot() -> None:
    busy = UnavailableError()
    busy.retry_after_seconds = 7.0

    assert attempts(SetClock(), random=0.0).pause_after(busy) == 7.0 + PAUSE_SECONDS_MIN / 2
    assert attempts(SetClock(), random=1.0).pause_after(busy) == 7.0 + PAUSE_SECONDS_MIN


def test_a_pause_past_the_deadline_is_not_made() -> None:
    busy = UnavailableError("busy")
    busy.retry_after_seconds = 31.0

    with pytest.raises(UnavailableError, match="busy"):
        attempts(SetClock()).pause_after(busy)


def test_an_attempt_gets_a_share_of_the_time_and_never_more_than_is_left() -> None:
    clock = SetClock()
    call = attempts(clock, within=30.0)

    assert call.attempt_seconds() == ATTEMPT_SECONDS_MAX
    clock.pass_(25.0)
    assert call.attempt_seconds() == 5.0
    clock.pass_(10.0)
    assert call.attempt_seconds() == 0.0
    assert attempts(clock, within=6.0).attempt_seconds() == 2.0
    assert attempts(clock, within=0.5).attempt_seconds() == 0.5


def test_an_ask_that_waits_gets_its_waiting_time_on_top() -> None:
    assert attempts(SetClock(), within=60.0).attempt_seconds(25.0) == ATTEMPT_SECONDS_MAX + 25.0


# -- The caller --------------------------------------------------------------


class Service:
    """Answers with what was prepared, one after the other; the last one again and again."""

    def __init__(self, *answers: Callable[[], httpx2.Response]) -> None:
        self.answers = list(answers)
        self.requests: list[httpx2.Request] = []
        self.clock = SetClock()

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return answer()

    def caller(self) -> Client:
        return Client(
            "http://quorate.test",
            "qk_made_up",
            transport=httpx2.MockTransport(self),
            clock=self.clock,
            sleep=self.clock.pass_,
        )

    @property
    def idempotency_keys(self) -> set[str | None]:
        return {request.headers.get("Idempotency-Key") for request in self.requests}


def answered() -> httpx2.Response:
    return httpx2.Response(200, json=ANSWER, headers={"Quorate-Sequence": "12"})


def nobody_there() -> httpx2.Response:
    raise httpx2.ConnectError("nobody there")


def problem(
    code: str, status: int, headers: dict[str, str] | None = None, **facts: object
) -> Callable[[], httpx2.Response]:
    body = {"code": code, "status": status, "title": "No", "detail": "No.", **facts}
    return lambda: httpx2.Response(status, json=body, headers=headers)


def test_a_call_outlives_a_service_that_is_away_for_a_moment() -> None:
    service = Service(nobody_there, problem("unavailable", 503), answered)

    with service.caller() as caller:
        answer = caller.send(HEARTBEAT)

    assert answer.result.last_notification == 7
    assert answer.sequence == 12
    assert len(service.requests) == 3


def test_all_attempts_carry_one_idempotency_key() -> None:
    service = Service(nobody_there, nobody_there, answered)

    with service.caller() as caller:
        caller.execute(HEARTBEAT)

    assert len(service.idempotency_keys) == 1
    assert None not in service.idempotency_keys


def test_another_call_has_another_key() -> None:
    service = Service(answered)

    with service.caller() as caller:
        caller.execute(HEARTBEAT)
        caller.execute(HEARTBEAT)

    assert len(service.idempotency_keys) == 2


async def test_an_agent_that_asks_does_the_same() -> None:
    service = Service(nobody_there, problem("unavailable", 503), answered)
    transport = httpx2.MockTransport(service)
    http = HttpTransport("http://quorate.test", "qk_made_up", transport=transport)
    asker = FailoverTransport(http, time.monotonic, timeout_seconds=30.0)
    answer = await asker.send(HEARTBEAT)
    await asker.close()

    assert answer.sequence == 12
    assert len(service.requests) == 3
    assert len(service.idempotency_keys) == 1
    with pytest.raises(RequestFailedError, match="over"):
        await asker.send(HEARTBEAT)


def test_the_callers_own_key_is_kept() -> None:
    service = Service(answered)

    with service.caller() as caller:
        caller.execute(HEARTBEAT, idempotency_key="mine")

    assert service.idempotency_keys == {"mine"}


def test_reading_needs_no_key() -> None:
    service = Service(lambda: httpx2.Response(200, json=[]))

    with service.caller() as caller:
        assert caller.execute(requests.list_leases()) == []

    assert service.idempotency_keys == {None}


def test_what_was_asked_counts_from_the_first_attempt() -> None:
    """The first attempt may have been taken, its answer lost."""
    service = Service(nobody_there, answered)
    began_at = service.clock()

    with service.caller() as caller:
        assert caller.send(HEARTBEAT).sent_at == began_at

    assert service.clock() > began_at


def test_a_refusal_is_an_answer_and_is_not_tried_again() -> None:
    service = Service(problem("agent_not_found", 404))

    with service.caller() as caller, pytest.raises(AgentNotFoundError):
        caller.execute(HEARTBEAT)

    assert len(service.requests) == 1


def test_a_conflict_names_the_holder() -> None:
    holder = {
        "agentId": "agent_2",
        "agentName": "her",
        "expiresAt": "2026-03-01T12:30:00.000Z",
    }
    service = Service(problem("lease_conflict", 409, conflict=True, leaseHolder=holder))

    with service.caller() as caller, pytest.raises(LeaseConflictError) as refused:
        caller.execute(requests.acquire_lease(ME, "user@example.com"))

    found = refused.value.holder
    assert found is not None
    assert found.agent_name == "her"
    assert refused.value.details == {"conflict": True, "leaseHolder": holder}


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_what_a_proxy_says_of_a_service_that_is_away_is_tried_again(status: int) -> None:
    service = Service(lambda: httpx2.Response(status, html="<h1>Bad gateway</h1>"), answered)

    with service.caller() as caller:
        caller.execute(HEARTBEAT)

    assert len(service.requests) == 2


def test_a_service_that_stays_away_is_given_up_at_the_deadline() -> None:
    service = Service(nobody_there)
    began_at = service.clock()

    with service.caller() as caller, pytest.raises(UnavailableError, match="does not answer"):
        caller.execute(HEARTBEAT, timeout_seconds=20.0)

    assert 10.0 < service.clock() - began_at <= 20.0


def test_the_service_is_left_alone_for_as_long_as_it_asks() -> None:
    service = Service(problem("unavailable", 503, {"Retry-After": "4"}), answered)
    began_at = service.clock()

    with service.caller() as caller:
        caller.execute(HEARTBEAT)

    assert 4.0 < service.clock() - began_at <= 4.0 + PAUSE_SECONDS_MIN


def test_a_caller_that_asks_too_often_waits_to_the_fraction_that_it_is_told() -> None:
    busy = problem("rate_limited", 429, {"Retry-After": "1"}, retryAfterSeconds=0.25)
    service = Service(busy, answered)
    began_at = service.clock()

    with service.caller() as caller:
        caller.execute(HEARTBEAT)

    assert 0.25 < service.clock() - began_at <= 0.25 + PAUSE_SECONDS_MIN
    assert len(service.idempotency_keys) == 1


def test_asking_too_often_for_too_long_is_told_as_such() -> None:
    service = Service(problem("rate_limited", 429, retryAfterSeconds=0.25, limitedBy="key"))

    with service.caller() as caller, pytest.raises(RateLimitedError) as refused:
        caller.execute(HEARTBEAT, timeout_seconds=5.0)

    assert len(service.requests) > 2
    assert refused.value.details["limitedBy"] == "key"


def test_a_tenant_that_has_all_it_may_is_not_asked_again() -> None:
    service = Service(problem("quota_exceeded", 429, quota="live_leases", limit=3))

    with service.caller() as caller, pytest.raises(QuotaExceededError) as refused:
        caller.execute(requests.acquire_lease(ME, "user@example.com"))

    assert (refused.value.quota, refused.value.limit) == ("live_leases", 3)
    assert len(service.requests) == 1


def test_a_wait_past_the_deadline_is_told_at_once_with_the_services_own_words() -> None:
    service = Service(problem("unavailable", 503, {"Retry-After": "60"}))
    began_at = service.clock()

    with service.caller() as caller, pytest.raises(ServiceUnavailableError, match="No"):
        caller.execute(HEARTBEAT)

    assert service.clock() == began_at


@pytest.mark.parametrize(
    "answer",
    [
        lambda: httpx2.Response(200, html="<h1>Welcome</h1>"),
        lambda: httpx2.Response(200, json={"ok": True}),
        lambda: httpx2.Response(200, json=[]),
        lambda: httpx2.Response(200, json=ANSWER | {"activeUntil": "2026-03-01T12:05:00"}),
    ],
)
def test_what_answers_but_is_not_quorate_is_said_so(answer: Callable[[], httpx2.Response]) -> None:
    service = Service(answer)

    with service.caller() as caller, pytest.raises(RequestFailedError, match="not Quorate"):
        caller.execute(HEARTBEAT)


@pytest.mark.parametrize("key", ["", "qk\nX-Evil: 1", "schlüssel"])
def test_a_key_that_would_change_the_request_is_refused(key: str) -> None:
    with pytest.raises(UnauthorizedError):
        Client("http://quorate.test", key)
