"""Requests are retried while a retry may help, with one idempotency key, until their deadline."""

import time
from collections.abc import Callable

import httpx2
import pytest

from quorate.client import AsyncClient, requests
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
RESPONSE = {
    "ok": True,
    "agentId": "agent_1",
    "lastHeartbeat": "2026-03-01T12:00:00.000Z",
    "activeUntil": "2026-03-01T12:05:00.000Z",
    "lastNotification": 7,
}


def retry_policy(clock: SetClock, within: float = 30.0, random: float = 1.0) -> RetryPolicy:
    return RetryPolicy(within, clock=clock, random=lambda: random)


def test_pauses_double_up_to_a_limit() -> None:
    clock = SetClock()
    policy = retry_policy(clock, within=1_000)
    pauses = [policy.pause_after(UnavailableError()) for _ in range(9)]

    assert pauses[:3] == [PAUSE_SECONDS_MIN, PAUSE_SECONDS_MIN * 2, PAUSE_SECONDS_MIN * 4]
    assert pauses[-1] == PAUSE_SECONDS_MAX


def test_pause_has_jitter() -> None:
    clock = SetClock()

    assert retry_policy(clock, random=0.0).pause_after(UnavailableError()) == PAUSE_SECONDS_MIN / 2
    assert retry_policy(clock, random=1.0).pause_after(UnavailableError()) == PAUSE_SECONDS_MIN


def test_pause_is_the_requested_delay_plus_the_backoff() -> None:
    busy = UnavailableError()
    busy.retry_after_seconds = 7.0

    assert retry_policy(SetClock(), random=0.0).pause_after(busy) == 7.0 + PAUSE_SECONDS_MIN / 2
    assert retry_policy(SetClock(), random=1.0).pause_after(busy) == 7.0 + PAUSE_SECONDS_MIN


def test_pause_past_the_deadline_raises_the_failure() -> None:
    busy = UnavailableError("busy")
    busy.retry_after_seconds = 31.0

    with pytest.raises(UnavailableError, match="busy"):
        retry_policy(SetClock()).pause_after(busy)


def test_attempt_gets_a_share_of_the_remaining_time() -> None:
    clock = SetClock()
    policy = retry_policy(clock, within=30.0)

    assert policy.attempt_seconds() == ATTEMPT_SECONDS_MAX
    clock.advance(25.0)
    assert policy.attempt_seconds() == 5.0
    clock.advance(10.0)
    assert policy.attempt_seconds() == 0.0
    assert retry_policy(clock, within=6.0).attempt_seconds() == 2.0
    assert retry_policy(clock, within=0.5).attempt_seconds() == 0.5


def test_long_poll_extends_the_attempt() -> None:
    assert retry_policy(SetClock(), within=60.0).attempt_seconds(25.0) == ATTEMPT_SECONDS_MAX + 25.0


# -- The clients -------------------------------------------------------------


class Service:
    """Returns the prepared responses in order; repeats the last one."""

    def __init__(self, *responses: Callable[[], httpx2.Response]) -> None:
        self.responses = list(responses)
        self.requests: list[httpx2.Request] = []
        self.clock = SetClock()

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        response = self.responses.pop(0) if len(self.responses) > 1 else self.responses[0]
        return response()

    def client(self) -> Client:
        return Client(
            "http://quorate.test",
            "qk_made_up",
            transport=httpx2.MockTransport(self),
            clock=self.clock,
            sleep=self.clock.advance,
        )

    @property
    def idempotency_keys(self) -> set[str | None]:
        return {request.headers.get("Idempotency-Key") for request in self.requests}


def success() -> httpx2.Response:
    return httpx2.Response(200, json=RESPONSE, headers={"Quorate-Sequence": "12"})


def unreachable() -> httpx2.Response:
    raise httpx2.ConnectError("unreachable")


def problem(
    code: str, status: int, headers: dict[str, str] | None = None, **members: object
) -> Callable[[], httpx2.Response]:
    body = {"code": code, "status": status, "title": "No", "detail": "No.", **members}
    return lambda: httpx2.Response(status, json=body, headers=headers)


def test_request_survives_a_short_outage() -> None:
    service = Service(unreachable, problem("unavailable", 503), success)

    with service.client() as client:
        response = client.send(HEARTBEAT)

    assert response.result.last_notification == 7
    assert response.sequence == 12
    assert len(service.requests) == 3


def test_attempts_share_one_idempotency_key() -> None:
    service = Service(unreachable, unreachable, success)

    with service.client() as client:
        client.execute(HEARTBEAT)

    assert len(service.idempotency_keys) == 1
    assert None not in service.idempotency_keys


def test_each_request_has_its_own_idempotency_key() -> None:
    service = Service(success)

    with service.client() as client:
        client.execute(HEARTBEAT)
        client.execute(HEARTBEAT)

    assert len(service.idempotency_keys) == 2


async def test_failover_transport_retries_and_can_be_closed() -> None:
    service = Service(unreachable, problem("unavailable", 503), success)
    transport = httpx2.MockTransport(service)
    http = HttpTransport("http://quorate.test", "qk_made_up", transport=transport)
    failover = FailoverTransport(http, time.monotonic, timeout_seconds=30.0)
    response = await failover.send(HEARTBEAT)
    await failover.close()

    assert response.sequence == 12
    assert len(service.requests) == 3
    assert len(service.idempotency_keys) == 1
    with pytest.raises(RequestFailedError, match="closed"):
        await failover.send(HEARTBEAT)


def test_given_idempotency_key_is_used() -> None:
    service = Service(success)

    with service.client() as client:
        client.execute(HEARTBEAT, idempotency_key="mine")

    assert service.idempotency_keys == {"mine"}


def test_query_has_no_idempotency_key() -> None:
    service = Service(lambda: httpx2.Response(200, json=[]))

    with service.client() as client:
        assert client.execute(requests.list_leases()) == []

    assert service.idempotency_keys == {None}


def test_sent_at_is_the_time_of_the_first_attempt() -> None:
    """The first attempt may have been carried out although its response is lost."""
    service = Service(unreachable, success)
    started_at = service.clock()

    with service.client() as client:
        assert client.send(HEARTBEAT).sent_at == started_at

    assert service.clock() > started_at


def test_rejection_is_not_retried() -> None:
    service = Service(problem("agent_not_found", 404))

    with service.client() as client, pytest.raises(AgentNotFoundError):
        client.execute(HEARTBEAT)

    assert len(service.requests) == 1


def test_conflict_names_the_holder() -> None:
    holder = {
        "agentId": "agent_2",
        "agentName": "her",
        "expiresAt": "2026-03-01T12:30:00.000Z",
    }
    service = Service(problem("lease_conflict", 409, conflict=True, leaseHolder=holder))

    with service.client() as client, pytest.raises(LeaseConflictError) as rejection:
        client.execute(requests.acquire_lease(ME, "user@example.com"))

    found = rejection.value.holder
    assert found is not None
    assert found.agent_name == "her"
    assert rejection.value.details == {"conflict": True, "leaseHolder": holder}


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_error_of_a_proxy_is_retried(status: int) -> None:
    service = Service(lambda: httpx2.Response(status, html="<h1>Bad gateway</h1>"), success)

    with service.client() as client:
        client.execute(HEARTBEAT)

    assert len(service.requests) == 2


def test_request_fails_at_the_deadline_when_the_service_is_unreachable() -> None:
    service = Service(unreachable)
    started_at = service.clock()

    with service.client() as client, pytest.raises(UnavailableError, match="does not answer"):
        client.execute(HEARTBEAT, timeout_seconds=20.0)

    assert 10.0 < service.clock() - started_at <= 20.0


def test_retry_waits_for_retry_after() -> None:
    service = Service(problem("unavailable", 503, {"Retry-After": "4"}), success)
    started_at = service.clock()

    with service.client() as client:
        client.execute(HEARTBEAT)

    assert 4.0 < service.clock() - started_at <= 4.0 + PAUSE_SECONDS_MIN


def test_retry_waits_for_the_exact_seconds_of_the_problem() -> None:
    busy = problem("rate_limited", 429, {"Retry-After": "1"}, retryAfterSeconds=0.25)
    service = Service(busy, success)
    started_at = service.clock()

    with service.client() as client:
        client.execute(HEARTBEAT)

    assert 0.25 < service.clock() - started_at <= 0.25 + PAUSE_SECONDS_MIN
    assert len(service.idempotency_keys) == 1


def test_rate_limit_is_raised_at_the_deadline() -> None:
    service = Service(problem("rate_limited", 429, retryAfterSeconds=0.25, limitedBy="key"))

    with service.client() as client, pytest.raises(RateLimitedError) as rejection:
        client.execute(HEARTBEAT, timeout_seconds=5.0)

    assert len(service.requests) > 2
    assert rejection.value.details["limitedBy"] == "key"


def test_exceeded_quota_is_not_retried() -> None:
    service = Service(problem("quota_exceeded", 429, quota="live_leases", limit=3))

    with service.client() as client, pytest.raises(QuotaExceededError) as rejection:
        client.execute(requests.acquire_lease(ME, "user@example.com"))

    assert (rejection.value.quota, rejection.value.limit) == ("live_leases", 3)
    assert len(service.requests) == 1


def test_retry_after_past_the_deadline_raises_at_once() -> None:
    service = Service(problem("unavailable", 503, {"Retry-After": "60"}))
    started_at = service.clock()

    with service.client() as client, pytest.raises(ServiceUnavailableError, match="No"):
        client.execute(HEARTBEAT)

    assert service.clock() == started_at


@pytest.mark.parametrize(
    "response",
    [
        lambda: httpx2.Response(200, html="<h1>Welcome</h1>"),
        lambda: httpx2.Response(200, json={"ok": True}),
        lambda: httpx2.Response(200, json=[]),
        lambda: httpx2.Response(200, json=RESPONSE | {"activeUntil": "2026-03-01T12:05:00"}),
    ],
)
def test_response_that_is_not_from_quorate_raises(response: Callable[[], httpx2.Response]) -> None:
    service = Service(response)

    with service.client() as client, pytest.raises(RequestFailedError, match="not from Quorate"):
        client.execute(HEARTBEAT)


@pytest.mark.parametrize("key", ["", "qk\nX-Evil: 1", "schlüssel"])
def test_key_that_cannot_be_a_header_is_rejected(key: str) -> None:
    with pytest.raises(UnauthorizedError):
        Client("http://quorate.test", key)


async def test_async_client_retries_under_one_idempotency_key() -> None:
    service = Service(
        lambda: httpx2.Response(503), unreachable, lambda: httpx2.Response(200, json=RESPONSE)
    )
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    transport = httpx2.MockTransport(service)
    async with AsyncClient(
        "http://quorate.test", "qk_made_up", transport=transport, sleep=sleep
    ) as c:
        found = await c.send(HEARTBEAT, idempotency_key="one-key")

    assert found.result.last_notification == 7
    assert service.idempotency_keys == {"one-key"}
    assert len(pauses) == len(service.requests) - 1 == 2
