"""What a team runs on its own servers: secrets made once, `quorate db upgrade`, two replicas.

Everything here is tried twice: on programs of this machine, and on containers where Docker is.
"""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from quorate.client import Agent, LeaseConflict
from quorate.client.results import Notification
from tests.e2e.containers.docker_engine import needs_engine
from tests.e2e.containers.load import Load
from tests.e2e.containers.proxy import Proxy
from tests.e2e.containers.servers import Containers, Local
from tests.e2e.containers.team import Team, quorate
from tests.integration.api.raw_clients import Wire, head

CONTACT = "user@example.com"
ROUNDS = 20
BROKEN = 4
AGENTS = 4
NOTIFICATION_SECONDS_MAX = 20.0


@pytest.fixture(scope="module", params=[Local, pytest.param(Containers, marks=pytest.mark.docker)])
def team(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Team]:
    if request.param is Containers:
        needs_engine()
    team = Team(tmp_path_factory.mktemp("team"), request.param)
    try:
        yield team.start()
    finally:
        team.close()


async def test_a_conflict_at_one_replica_is_pushed_to_an_agent_of_the_other(team: Team) -> None:
    one, two = team.urls
    key, nats = team.api_key, team.servers.nats_url
    async with (
        Agent.connect(one, key, name="outreach-agent", nats_url="") as holder,
        Agent.connect(two, key, name="retention-agent", nats_url=nats) as rival,
    ):
        async with holder.lease(CONTACT):
            with pytest.raises(LeaseConflict):
                async with rival.lease(CONTACT):
                    pass
        heard = await notifications(rival, until="lease_available")
    assert [notification.name for notification in heard] == ["lease_conflict", "lease_available"]


async def notifications(agent: Agent, *, until: str) -> list[Notification]:
    """What an agent is told about the contact, up to a notification of this name."""
    heard: list[Notification] = []
    async with asyncio.timeout(NOTIFICATION_SECONDS_MAX):
        async for notification in agent.notifications():
            if notification.name.startswith("lease_"):
                heard.append(notification)
            if notification.name == until:
                break
    return heard


async def test_no_command_fails_while_database_and_nats_are_restarted(team: Team) -> None:
    load = Load()
    async with load.by(AGENTS, team.urls[0], team.api_key, team.servers.nats_url):
        await asyncio.to_thread(team.servers.restart_nats)
        await load.more(ROUNDS)
        await asyncio.to_thread(team.servers.restart_database)
        await load.more(ROUNDS)
    assert load.failures == []


async def test_no_command_fails_behind_the_proxy_while_one_replica_and_then_the_other_is_killed(
    team: Team, tmp_path: Path
) -> None:
    load = Load()
    with Proxy(tmp_path, team.ports) as proxy:
        async with load.by(AGENTS, proxy.url, team.api_key, team.servers.nats_url):
            for replica in team.replicas:
                await asyncio.to_thread(replica.kill)
                await load.more(ROUNDS)
                await asyncio.to_thread(replica.start)
                await load.more(ROUNDS)
    assert load.failures == []


def test_a_strangers_broken_requests_keep_nobody_out_behind_the_proxy(
    team: Team, tmp_path: Path
) -> None:
    broken = head("POST", "/v1/keys", Transfer_Encoding="chunked") + b"-1\r\n"
    with Proxy(tmp_path, team.ports) as proxy:
        refused = 0
        while refused < BROKEN:  # Sometimes a replica has answered before it is broken.
            with Wire(proxy.port) as wire:
                refused += wire.say(broken).hear_head().status in (502, 503)
        with Wire(proxy.port) as wire:
            assert wire.say(head("POST", "/v1/keys")).hear().code == "unauthorized"


def test_what_is_there_is_upgraded_and_made_no_second_time(team: Team) -> None:
    before = {path.name: path.read_bytes() for path in team.secrets.iterdir()}

    quorate("secrets", str(team.secrets))
    quorate("db", "upgrade", "--database-url", team.servers.database_url)
    team.replicas[1].restart()

    assert {path.name: path.read_bytes() for path in team.secrets.iterdir()} == before
    checked = quorate("db", "check", "--database-url", team.servers.database_url, "--no-json")
    assert "Nothing to do" in checked
