"""Whatever happened since, a repeated request gets no more than a new one would get."""

import itertools
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.domain.coordination.lease_grants import AcquireLease
from quorate.domain.coordination.leases import LEASES
from quorate.domain.coordination.send_gate import Authorization, RequestSend
from quorate.domain.identity.agents import Heartbeat
from quorate.domain.registry import new_state
from quorate.domain.shared.state import Command, TenantState
from quorate.domain.shared.timestamps import Timestamp
from quorate.eventlog.envelopes import Accepted, CommandEnvelope, CommandResult, Idempotency
from quorate.eventlog.hash_chain import GENESIS
from quorate.eventlog.unit_of_work import Remembered, Scope, UnitOfWork
from tests.unit.support.sample_commands import (
    TENANT_KEY,
    acquire,
    heartbeat,
    register,
    release,
    send,
)
from tests.unit.support.search_budget import find_failing_example
from tests.unit.support.specification import NOON

WINDOW = 60_000
NAMES = ("ann", "bob")
MINUTES = (0.5, 2)
STEPS = (0, 1_000, 20_000, 70_000)


def lease_id(response: bytes) -> Any:  # noqa: ANN401 - JSON.
    return orjson.loads(response)["id"]


def authorization(response: bytes) -> Authorization | None:
    event = orjson.loads(response)
    return None if "reason" in event else Authorization(fence=event["fence"])


GRANTS: dict[type[Any], Callable[[bytes], Any]] = {
    AcquireLease: lease_id,
    RequestSend: authorization,
    Heartbeat: lambda _: True,
}


class Tenant:
    """One tenant in memory. Each command is a transaction of its own."""

    def __init__(self) -> None:
        self.now = NOON
        self.state: TenantState = new_state()
        self.requests: list[tuple[str, Command]] = []
        self._remembered: dict[Scope, Remembered] = {}
        self._heads = {"acme": GENESIS}
        self._position = 0
        self._ids = map(str, itertools.count())
        for name in NAMES:
            self.execute(register(name))

    def execute(self, command: Command, key: str | None = None) -> CommandResult:
        unit = UnitOfWork(
            now=self.now,
            window=WINDOW,
            position=self._position,
            heads=self._heads,
            states={"acme": self.state},
            remembered=self._remembered,
            new_id=lambda _: next(self._ids),
        )
        idempotency = key and Idempotency(
            caller="key", command=type(command).__name__, key=key, fingerprint=b""
        )
        envelope = CommandEnvelope(
            tenant="acme",
            actor="key",
            command_id="",
            command=command,
            render=orjson.dumps,
            grant_in=GRANTS.get(type(command)),
            idempotency=idempotency or None,
        )
        result = unit.execute(envelope, command.reads())
        self._position += len(unit.rows)
        return result

    def request(self, command: Command) -> None:
        key = f"key{len(self.requests)}"
        self.requests.append((key, command))
        self.check(command, self.execute(command, key))

    def repeat(self, number: int) -> None:
        if self.requests:
            key, command = self.requests[number % len(self.requests)]
            self.check(command, self.execute(command, key))

    def check(self, command: Command, result: CommandResult) -> None:
        """A granting response must be true now."""
        if not isinstance(result, Accepted):
            return
        found = orjson.loads(result.body)
        match command:
            case AcquireLease():
                lease = self.state[LEASES].get(found["id"])
                assert lease is not None
                assert lease.status == "active", "a lease that is over was granted"
                assert self.now < found["expires_at"] == lease.expires_at
                assert found["fence"] == lease.fence
                assert (lease.agent_id, lease.holder) == (found["agent_id"], command.holder)
            case RequestSend() if "reason" not in found:
                name = found["agent_id"].removeprefix("agent_")
                question = send(name, command.contact, fence=found["fence"])
                now = self.execute(question)
                assert isinstance(now, Accepted)
                assert "reason" not in orjson.loads(now.body), "a send was authorized too late"
            case Heartbeat():
                assert self.now <= found["agent"]["active_until"], "a time in the past was granted"


names = st.sampled_from(NAMES)
holders = st.sampled_from([None, "first", "second"])
steps = st.one_of(
    st.builds(
        lambda name, minutes, holder: (
            lambda tenant: tenant.request(
                acquire(name, lease=f"lease{len(tenant.requests)}", minutes=minutes, holder=holder)
            )
        ),
        names,
        st.sampled_from(MINUTES),
        holders,
    ),
    st.builds(
        lambda name, mine: lambda tenant: tenant.request(send(name, fence=fence_of(tenant, mine))),
        names,
        st.booleans(),
    ),
    st.builds(lambda name: lambda tenant: tenant.request(heartbeat(name)), names),
    st.builds(lambda name: lambda tenant: tenant.execute(register(name)), names),
    st.builds(lambda number: lambda tenant: release_one(tenant, number), st.integers(0, 9)),
    st.builds(lambda step: lambda tenant: advance(tenant, step), st.sampled_from(STEPS)),
    *[st.builds(lambda number: lambda tenant: tenant.repeat(number), st.integers(0, 9))] * 3,
)
histories = st.lists(steps, min_size=4, max_size=25)


def fence_of(tenant: Tenant, is_wanted: bool) -> int | None:
    live = [lease.fence for lease in tenant.state[LEASES].values() if lease.status == "active"]
    return live[-1] if live and is_wanted else None


def release_one(tenant: Tenant, number: int) -> None:
    leases = list(tenant.state[LEASES])
    if leases:
        tenant.execute(release(leases[number % len(leases)], by=TENANT_KEY))


def advance(tenant: Tenant, milliseconds: int) -> None:
    tenant.now = Timestamp(tenant.now + milliseconds)


def run(history: list[Callable[[Tenant], object]]) -> None:
    tenant = Tenant()
    for step in history:
        step(tenant)


@given(histories)
def test_repeated_request_gets_no_more_than_a_new_one(
    history: list[Callable[[Tenant], object]],
) -> None:
    run(history)


# -- Planted bugs ------------------------------------------------------------------


@pytest.mark.parametrize("command", [AcquireLease, RequestSend, Heartbeat])
def test_replay_without_judgement_is_found(
    command: type[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "repeat", lambda *_: None)

    with pytest.raises(AssertionError):
        find_failing_example(histories, run)


def test_judgement_by_the_request_alone_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A send without a fence is judged by the fence that was authorized."""
    repeat = RequestSend.repeat
    monkeypatch.setattr(
        RequestSend,
        "repeat",
        lambda command, _granted, state, context: repeat(
            command, Authorization(fence=command.fence), state, context
        ),
    )

    with pytest.raises(AssertionError):
        find_failing_example(histories, run)
