"""The demo shows contention, a vote and a crash, ends by itself, and leaves nothing behind."""

import json
import os
import re
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from quorate.cli.demo.fleet import CONTACTS, NAMES, SILENT, Hold, overlapping
from quorate.cli.demo.scene import Scene
from quorate.cli.demo.temporary_service import temporary_service
from quorate.eventlog.hash_chain import GENESIS, check_public
from tests.e2e.cli.cli_process import Tenant, done, runs_with, started, until
from tests.e2e.cli.terminal import at_a_terminal, new_tenant_name
from tests.e2e.service.service_process import Running, environment

ANN, BOB = "demo-ada", "demo-ben"
CONTACT = CONTACTS[0]
SHORT = ("demo", "--seconds", "5")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Where temporary folders are made."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    return folder


@pytest.fixture
def town(real: Running) -> Iterator[Tenant]:
    tenant = Tenant(real, new_tenant_name())
    yield tenant
    tenant.close()


# -- On a service of its own -----------------------------------------------------


def test_a_demo_shows_all_that_it_promises(place: Path) -> None:
    outcome = done(*SHORT, TMPDIR=str(place))

    *events, summary = [json.loads(line) for line in outcome.stdout.splitlines()]
    assert outcome.code == 0, outcome.stderr
    assert summary["type"] == "demo.summary"
    assert summary["grants"] > len(CONTACTS)
    assert summary["conflicts"] > 0
    assert summary["holds"] > len(CONTACTS)
    assert summary["overlappingHolds"] == 0
    assert summary["vote"]["status"] == "approved"
    assert summary["lapse"]["agentName"] == SILENT
    assert summary["lapse"]["heir"] in set(NAMES) - {SILENT}
    assert summary["events"] == len(events)
    types = {event["type"] for event in events}
    assert {"LeaseConflicted", "ConsensusDecided", "AgentLapsed", "LeaseRevoked"} <= types
    head = GENESIS
    for event in events:
        head = check_public(event, head)


def test_a_demo_leaves_nothing_behind(place: Path) -> None:
    done(*SHORT, TMPDIR=str(place))

    assert list(place.iterdir()) == []
    assert runs_with(str(place)) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_leaves_nothing_behind(place: Path, number: signal.Signals) -> None:
    with started("demo", "--seconds", "60", TMPDIR=str(place)) as verb:
        while "LeaseConflicted" not in verb.line():
            pass
        verb.sent(number)
        outcome = verb.ended()

    assert outcome.code == 128 + number
    assert list(place.iterdir()) == []
    assert runs_with(str(place)) == []


def test_a_demo_that_is_killed_takes_its_service_along(place: Path) -> None:
    with started("demo", "--seconds", "60", TMPDIR=str(place)) as verb:
        while "LeaseAcquired" not in verb.line():
            pass
        assert runs_with(str(place))

        verb.sent(signal.SIGKILL)

        until(lambda: not runs_with(str(place)))


async def test_a_temporary_service_is_there_for_so_long_and_no_longer(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(place))

    async with temporary_service(window_seconds=2.0) as service:
        assert httpx2.get(f"{service.url}/readyz").json()["status"] == "ready"

    assert runs_with(str(place)) == []
    assert list(place.iterdir()) == []


def test_people_who_do_not_sit_at_a_terminal_get_lines_of_words(place: Path) -> None:
    outcome = done(*SHORT, "--no-json", TMPDIR=str(place))

    told = outcome.stdout
    assert outcome.code == 0
    assert re.search(r"^ +\d+\.\d\d s  demo-\w+ holds \w+@demo\.example until", told, re.MULTILINE)
    assert f"{SILENT} is killed" in told
    assert re.search(r"^overlapping holds +0 among \d+", told, re.MULTILINE)
    assert "alive, at least until" not in told  # Signs of life are no news.


def test_at_a_terminal_it_is_a_picture(place: Path) -> None:
    variables = environment(TMPDIR=str(place))

    code, sent = at_a_terminal(SHORT, variables, columns=100)

    assert code == 0
    for words in ("quorate demo", "held by", "wanted by", "a vote", "approved, 3 to"):
        assert words in sent
    assert "overlapping holds" in sent


def test_without_a_server_installed_it_says_what_to_install(place: Path, tmp_path: Path) -> None:
    missing = tmp_path / "uvicorn"
    missing.mkdir()
    why = 'raise ModuleNotFoundError("No module named \'uvicorn\'", name="uvicorn")\n'
    (missing / "__init__.py").write_text(why)
    path = os.pathsep.join((str(tmp_path), environment()["PYTHONPATH"]))

    outcome = done(*SHORT, TMPDIR=str(place), PYTHONPATH=path)

    assert outcome.code == 1
    assert "pip install 'quorate[server]'" in outcome.stderr
    assert list(place.iterdir()) == []


# -- On a service that runs ------------------------------------------------------


def test_it_does_not_fill_a_log_that_it_was_not_given(town: Tenant, place: Path) -> None:
    head = town.head

    done(*SHORT, **town.variables, TMPDIR=str(place))

    assert town.head == head


def test_it_runs_on_a_service_that_is_named(town: Tenant) -> None:
    outcome = done(*SHORT, "--no-json", "--running", **town.variables)

    assert outcome.code == 0, outcome.stderr
    assert re.search(r"^overlapping holds +0 among \d+", outcome.stdout, re.MULTILINE)
    assert "not shown: a heartbeat is good for 300 s here" in outcome.stdout
    assert len(town.events("LeaseAcquired")) > len(CONTACTS)
    assert town.leases() == []


def test_others_on_the_same_service_are_left_alone(town: Tenant) -> None:
    town.register("somebody")
    lease = town.lease("somebody", "user@example.com")

    outcome = done(*SHORT, "--no-json", "--url", town.service.url, **town.variables)

    assert outcome.code == 0, outcome.stderr
    assert "somebody" not in outcome.stdout
    assert [one["id"] for one in town.leases()] == [lease["id"]]


# -- What it claims --------------------------------------------------------------


def hold(agent: str, contact: str, began: float, ended: float) -> Hold:
    return Hold(agent=agent, contact=contact, fence=1, began=began, ended=ended)


def test_holds_of_one_contact_that_overlap_are_found() -> None:
    long, inside, after = (
        hold(ANN, CONTACT, 0.0, 5.0),
        hold(BOB, CONTACT, 1.0, 2.0),
        hold(BOB, CONTACT, 4.0, 6.0),
    )

    assert overlapping([after, inside, long]) == [(long, inside), (long, after)]


def test_holds_that_follow_each_other_do_not_overlap() -> None:
    holds = [
        hold(ANN, CONTACT, 0.0, 1.0),
        hold(BOB, CONTACT, 1.0, 2.0),
        hold(ANN, CONTACTS[1], 1.0, 2.0),
    ]

    assert overlapping(holds) == []


def event(type_: str, second: int, **facts: object) -> dict[str, Any]:
    return {"type": type_, "at": f"2026-03-01T12:00:{second:02}.000Z", "data": facts}


def registered(name: str) -> dict[str, Any]:
    until = "2026-03-01T12:00:30.000Z"
    return event(
        "AgentRegistered",
        0,
        agentId=name.upper(),
        agentName=name,
        agentRole="demo",
        incarnation=1,
        activeUntil=until,
    )


def about(type_: str, second: int, agent: str, **facts: object) -> dict[str, Any]:
    named = {"agentId": agent.upper(), "contactKey": CONTACT, "contactEmail": CONTACT}
    return event(type_, second, **named, **facts)


def test_the_scene_is_what_the_log_says() -> None:
    scene = Scene(NAMES, CONTACTS)
    until = "2026-03-01T12:01:00.000Z"
    refusal = {"agentName": BOB, "holderName": SILENT, "expiresAt": until}
    for each in (
        registered(SILENT),
        registered(BOB),
        about("LeaseAcquired", 1, SILENT, expiresAt=until, fence=3),
        about("LeaseConflicted", 2, BOB, **refusal),
    ):
        assert scene.apply(each) is not None
    contact = scene.contacts[CONTACT]
    assert (contact.holder, contact.fence, contact.wanted_by) == (SILENT, 3, [BOB])
    assert scene.apply(about("LeaseConflicted", 3, BOB, **refusal)) is None  # It only asks again.

    scene.apply(about("LeaseRevoked", 5, SILENT, reason="agent_inactive"))
    scene.apply(about("LeaseAcquired", 6, BOB, expiresAt=until, fence=9))

    assert (contact.holder, contact.wanted_by) == (BOB, [])
    assert scene.inherited == (BOB, 1.0)


def test_strangers_are_not_in_the_scene() -> None:
    scene = Scene(NAMES, CONTACTS)

    told = [scene.apply(one) for one in (registered("other"), about("LeaseExpired", 1, "other"))]

    assert told == [None, None]
    assert scene.agents == {}
