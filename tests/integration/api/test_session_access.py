"""The SQL of an access policy says the same as its rules, for all combinations of the fields."""

import itertools
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from quorate.domain.identity.principals import Principal
from quorate.domain.sessions.policies import Access, Policy, SessionRule
from quorate.domain.sessions.presets import ApplyPreset
from quorate.eventlog.envelopes import CommandEnvelope
from quorate.projections.sessions.session_queries import SessionQueries
from tests.integration.api.in_process import InProcess, run_in_process
from tests.integration.api.session_service import SessionAgent, create_agents

pytestmark = pytest.mark.asyncio(loop_scope="module")
RULES = [
    SessionRule(key_prefix=prefix, allowed_keys=keys, cross_agent=cross)
    for prefix, keys, cross in itertools.product(
        (None, "agent:ann:", "agent:ann:m", "session:"),
        (None, (), ("agent:bob:main", "agent:ann:plan")),
        (None, False, True),
    )
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[InProcess]:
    async with run_in_process(tmp_path_factory.mktemp("access") / "data") as service:
        yield service


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def agents(service: InProcess) -> list[SessionAgent]:
    agents = await create_agents(service, "ann", "bob", "annie")
    for agent, key in zip(agents[:2], ("agent:ann:plan", "session:1"), strict=True):
        await agent.call("sessions_create", key=key)
    return agents


async def test_list_contains_exactly_the_sessions_that_the_rules_show(
    service: InProcess, agents: list[SessionAgent]
) -> None:
    running = service.running.service
    queries = SessionQueries(running.log, running.clock)

    async def listed(access: Access) -> dict[str, str]:
        found = (await queries.page("default", access, None, None, 100)).found
        return {one.key: one.owner_id for one in found}

    everything = await listed(Access(agent_id=None))
    assert len(everything) == 5
    pairs = [*((one,) for one in RULES), *itertools.product(RULES[::5], RULES[::3])]
    for rules, agent in itertools.product(pairs, agents[:2]):
        policies = tuple(Policy(sessions=one) for one in rules)
        access = Access(agent_id=agent.id, policies=policies)
        shown = {key for key, owner in everything.items() if access.shows(key, owner)}
        assert set(await listed(access)) == shown, (rules, agent.name)


async def test_denied_session_is_refused_before_its_existence_is_considered(
    service: InProcess,
) -> None:
    preset = {"name": "observer", "sessions": {"key_prefix": "agent:ann:", "can_send": False}}
    (eve,) = await _with_preset(service, "eve", preset)
    for key in ("agent:bob:main", "agent:unknown:main"):
        for tool, more in (
            ("sessions_history", {}),
            ("sessions_send", {"message": "x"}),
            ("sessions_delete", {}),
            ("sessions_create", {}),
        ):
            code, detail = await eve.rejection(tool, key=key, **more)
            assert (code, detail) == ("session_access_denied", f"session access denied: {key}")
    _, detail = await eve.rejection("sessions_send", key="agent:ann:unknown", message="x")
    assert detail == "session policy denies sending messages"
    _, detail = await eve.rejection("sessions_history", key="agent:ann:unknown")
    assert detail == "session not found: agent:ann:unknown"
    assert (await eve.call("sessions_history", key="agent:ann:main"))["count"] == 0


async def _with_preset(service: InProcess, name: str, preset: dict[str, Any]) -> list[SessionAgent]:
    fields = {key: value for key, value in preset.items() if key != "name"}
    running = service.running.service
    command = ApplyPreset(
        caller=Principal(key_id="key", role="tenant", tenant="default"),
        name=preset["name"],
        fields=fields,
        count=0,
    )
    envelope = CommandEnvelope(
        tenant="default",
        actor="key",
        command_id=running.id(),
        command=command,
        render=lambda _: b"{}",
    )
    await running.command_bus.submit(envelope)
    return await create_agents(service, name, preset=preset["name"])
