"""Agents on the SDK neither collide nor miss notifications while services and agents fail.

The quick run has the sizes of QUICK. QUORATE_FLEET=full runs 50 agents that contend for 200
contacts for 60 s. It kills nats-server three times and the service twice, and stops one agent past
its lease. QUORATE_FLEET_SEED selects other random choices. QUORATE_FLEET_AGENTS,
_CONTACTS, _SECONDS, _NATS_KILLS and _SERVICE_KILLS set other sizes.
"""

import os
import random
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from tests.chaos.fleet.fleet import NATS_SERVER, SERVICE, Fleet, Size
from tests.chaos.fleet.fleet_checker import Evidence, check_run, of
from tests.chaos.fleet.journal import Acquired, Connected, Ended, Received, Sent

SEED = int(os.environ.get("QUORATE_FLEET_SEED", "1"))
QUICK = Size(agents=8, contacts=20, seconds=12, nats_kills=1, service_kills=1, seed=SEED)
FULL = Size(agents=50, contacts=200, seconds=60, nats_kills=3, service_kills=2, seed=SEED)
SINGLE = replace(QUICK, agents=1, contacts=1, seconds=2, nats_kills=0, service_kills=0)
WITH_RIVALS = replace(SINGLE, agents=3)
MARGIN_SECONDS = 300


def size() -> Size:
    preset = FULL if os.environ.get("QUORATE_FLEET") == "full" else QUICK

    def setting(name: str, default: int) -> int:
        return int(os.environ.get(f"QUORATE_FLEET_{name}", default))

    return replace(
        preset,
        agents=setting("AGENTS", preset.agents),
        contacts=setting("CONTACTS", preset.contacts),
        seconds=setting("SECONDS", round(preset.seconds)),
        nats_kills=setting("NATS_KILLS", preset.nats_kills),
        service_kills=setting("SERVICE_KILLS", preset.service_kills),
    )


SIZE = size()


def figures(evidence: Evidence) -> str:
    entries = [entry for each in evidence.journals.values() for entry in each]
    conflicts = sum(event["type"] == "LeaseConflicted" for event in evidence.log)
    lost = sum(ended.reason == "lost" for ended in of(Ended, entries))
    authorized = sum(sent.authorized for sent in of(Sent, entries))
    killed = ", ".join(
        f"{what} killed {count} times" for what, count in Counter(evidence.killed).items()
    )
    return (
        f"{killed}; {len(evidence.journals)} agents, {len(of(Connected, entries))} connections: "
        f"{len(of(Acquired, entries))} leases acquired, {lost} lost, "
        f"{conflicts} conflicts, {authorized} of {len(of(Sent, entries))} sends authorized, "
        f"{len(of(Received, entries))} notifications received, {len(evidence.log)} events"
    )


@pytest.mark.slow
@pytest.mark.timeout(MARGIN_SECONDS + SIZE.seconds)
async def test_agents_neither_collide_nor_miss_notifications(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evidence = await Fleet(tmp_path, SIZE).run()
    with capsys.disabled():
        print(f"\n{figures(evidence)}")  # noqa: T201 - report the figures.

    assert check_run(evidence)[:10] == []
    assert len(evidence.journals) == SIZE.agents
    assert len(evidence.stopped) == 1
    killed = {NATS_SERVER: SIZE.nats_kills, SERVICE: SIZE.service_kills}
    assert Counter(evidence.killed) == Counter(killed)
    assert any(event["type"] == "LeaseConflicted" for event in evidence.log)
    for name in [*evidence.journals][:2]:  # One with NATS, one without.
        assert any(
            f"{name} received" in finding
            for finding in check_run(without_one_notification(evidence, name))
        )


def without_one_notification(evidence: Evidence, name: str) -> Evidence:
    """Return the evidence without one notification that an agent received."""
    entries = evidence.journals[name]
    settled_entries = [
        one for one in of(Received, entries) if one.sequence <= evidence.settled_sequence
    ]
    lost = random.Random(SEED).choice(settled_entries)
    rest = [one for one in entries if one is not lost]
    return replace(evidence, journals={**evidence.journals, name: rest})


@pytest.mark.slow
async def test_checker_detects_an_agent_that_ignores_its_deadline(tmp_path: Path) -> None:
    """Prove that the test above checks the exclusivity of leases."""
    evidence = await Fleet(
        tmp_path, replace(WITH_RIVALS, persistent_behaviour="ignores_expiry")
    ).run()

    assert any("was held by" in finding for finding in check_run(evidence)), figures(evidence)


@pytest.mark.slow
async def test_checker_detects_a_send_without_a_fence(tmp_path: Path) -> None:
    """Prove that the test above checks the fences."""
    evidence = await Fleet(tmp_path, replace(SINGLE, persistent_behaviour="no_fence")).run()

    findings = check_run(evidence)
    assert any("the sender held no lease" in finding for finding in findings), figures(evidence)
    assert any("with the stale fence" in finding for finding in findings), figures(evidence)
