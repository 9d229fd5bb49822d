"""Agents on the SDK while everything around them fails, and what must be true of it afterwards.

The quick run has QUICK agents, contacts, seconds and faults. QUORATE_FLEET=full asks for 50 agents
that contend for 200 contacts for 60 s, while nats-server is killed three times, the service twice,
and one agent is stopped past its lease; QUORATE_FLEET_SEED for other chances, and
QUORATE_FLEET_AGENTS, _CONTACTS, _SECONDS, _NATS_KILLS and _SERVICE_KILLS for other sizes.
"""

import os
import random
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from tests.chaos.fleet.diary import Began, Ended, Heard, Held, Sent
from tests.chaos.fleet.fleet import NATS_SERVER, SERVICE, Fleet, Size
from tests.chaos.fleet.fleet_checker import Papers, inquest, of

SEED = int(os.environ.get("QUORATE_FLEET_SEED", "1"))
QUICK = Size(agents=8, contacts=20, seconds=12, nats_kills=1, service_kills=1, seed=SEED)
FULL = Size(agents=50, contacts=200, seconds=60, nats_kills=3, service_kills=2, seed=SEED)
ALONE = replace(QUICK, agents=1, contacts=1, seconds=2, nats_kills=0, service_kills=0)
WITH_RIVALS = replace(ALONE, agents=3)
MARGIN_SECONDS = 300


def size() -> Size:
    asked = FULL if os.environ.get("QUORATE_FLEET") == "full" else QUICK

    def given(name: str, usual: int) -> int:
        return int(os.environ.get(f"QUORATE_FLEET_{name}", usual))

    return replace(
        asked,
        agents=given("AGENTS", asked.agents),
        contacts=given("CONTACTS", asked.contacts),
        seconds=given("SECONDS", round(asked.seconds)),
        nats_kills=given("NATS_KILLS", asked.nats_kills),
        service_kills=given("SERVICE_KILLS", asked.service_kills),
    )


SIZE = size()


def figures(papers: Papers) -> str:
    entries = [entry for each in papers.diaries.values() for entry in each]
    conflicts = sum(event["type"] == "LeaseConflicted" for event in papers.log)
    lost = sum(ended.how == "lost" for ended in of(Ended, entries))
    let_through = sum(sent.authorized for sent in of(Sent, entries))
    killed = ", ".join(
        f"{what} killed {count} times" for what, count in Counter(papers.killed).items()
    )
    return (
        f"{killed}; {len(papers.diaries)} agents, {len(of(Began, entries))} lives: "
        f"{len(of(Held, entries))} leases held, {lost} lost, "
        f"{conflicts} conflicts, {let_through} of {len(of(Sent, entries))} sends let through, "
        f"{len(of(Heard, entries))} notifications heard, {len(papers.log)} events"
    )


@pytest.mark.slow
@pytest.mark.timeout(MARGIN_SECONDS + SIZE.seconds)
async def test_agents_neither_collide_nor_miss_anything(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    papers = await Fleet(tmp_path, SIZE).go()
    with capsys.disabled():
        print(f"\n{figures(papers)}")  # noqa: T201 - the figures are worth knowing.

    assert inquest(papers)[:10] == []
    assert len(papers.diaries) == SIZE.agents
    assert len(papers.stopped) == 1
    killed = {NATS_SERVER: SIZE.nats_kills, SERVICE: SIZE.service_kills}
    assert Counter(papers.killed) == Counter(killed)
    assert any(event["type"] == "LeaseConflicted" for event in papers.log)
    for name in [*papers.diaries][:2]:  # One with NATS, one without.
        assert any(f"{name} heard" in finding for finding in inquest(robbed(papers, name)))


def robbed(papers: Papers, name: str) -> Papers:
    """As they were, but for one notification that an agent did not hear."""
    entries = papers.diaries[name]
    settled = [one for one in of(Heard, entries) if one.sequence <= papers.settled]
    lost = random.Random(SEED).choice(settled)
    rest = [one for one in entries if one is not lost]
    return replace(papers, diaries={**papers.diaries, name: rest})


@pytest.mark.slow
async def test_an_agent_that_ignores_its_deadline_is_found_out(tmp_path: Path) -> None:
    """Or else the test above would not show that leases are exclusive."""
    papers = await Fleet(tmp_path, replace(WITH_RIVALS, clinger="heedless")).go()

    assert any("was held by" in finding for finding in inquest(papers)), figures(papers)


@pytest.mark.slow
async def test_a_send_that_shows_no_fence_is_found_out(tmp_path: Path) -> None:
    """Or else the test above would not show what the fences are good for."""
    papers = await Fleet(tmp_path, replace(ALONE, clinger="fenceless")).go()

    findings = inquest(papers)
    assert any("the sender held nothing" in finding for finding in findings), figures(papers)
    assert any("under the stale fence" in finding for finding in findings), figures(papers)
