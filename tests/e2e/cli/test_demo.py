"""`quorate demo`: it shows contention, a vote and a crash, and cleans up."""

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

from quorate.cli.demo.fleet import CONTACTS, CRASHING_AGENT, NAMES, Hold, find_overlaps
from quorate.cli.demo.scene import Scene
from quorate.cli.demo.temporary_service import temporary_service
from quorate.eventlog.hash_chain import GENESIS, verify_exported_event
from tests.e2e.cli.cli_process import Tenant, find_processes, run_cli, start_cli, wait_until
from tests.e2e.cli.terminal import new_tenant_name, run_in_terminal
from tests.e2e.service.service_process import ServiceProcess, environment

ANN, BOB = "demo-ada", "demo-ben"
CONTACT = CONTACTS[0]
SHORT = ("demo", "--seconds", "5")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Directory for temporary files."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    return folder


@pytest.fixture
def tenant(real: ServiceProcess) -> Iterator[Tenant]:
    tenant = Tenant(real, new_tenant_name())
    yield tenant
    tenant.close()


# -- On a temporary service ------------------------------------------------------


def test_demo_shows_conflict_vote_and_timeout(place: Path) -> None:
    outcome = run_cli(*SHORT, TMPDIR=str(place))

    *events, summary = [json.loads(line) for line in outcome.stdout.splitlines()]
    assert outcome.code == 0, outcome.stderr
    assert summary["type"] == "demo.summary"
    assert summary["grants"] > len(CONTACTS)
    assert summary["conflicts"] > 0
    assert summary["holds"] > len(CONTACTS)
    assert summary["overlappingHolds"] == 0
    assert summary["vote"]["status"] == "approved"
    assert summary["mail"]["blocked"] == 1
    assert summary["mail"]["taskSeconds"] > 0
    assert summary["lapse"]["agentName"] == CRASHING_AGENT
    assert summary["lapse"]["heir"] in set(NAMES) - {CRASHING_AGENT}
    assert summary["events"] == len(events)
    types = {event["type"] for event in events}
    assert {"LeaseConflicted", "ConsensusDecided", "AgentLapsed", "LeaseRevoked"} <= types
    mail = [event["data"] for event in events if event["type"] == "MessageSent"]
    assert [one.get("kind") for one in mail] == ["TASK", None, "RESULT"]
    assert mail[0]["threadId"] == mail[2]["threadId"]
    head = GENESIS
    for event in events:
        head = verify_exported_event(event, head)


def test_demo_removes_its_files_and_processes(place: Path) -> None:
    run_cli(*SHORT, TMPDIR=str(place))

    assert list(place.iterdir()) == []
    assert find_processes(str(place)) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_demo_removes_its_files_and_processes(
    place: Path, number: signal.Signals
) -> None:
    with start_cli("demo", "--seconds", "60", TMPDIR=str(place)) as command:
        while "LeaseConflicted" not in command.read_line():
            pass
        command.send_signal(number)
        outcome = command.wait()

    assert outcome.code == 128 + number
    assert list(place.iterdir()) == []
    assert find_processes(str(place)) == []


def test_killed_demo_terminates_its_service(place: Path) -> None:
    with start_cli("demo", "--seconds", "60", TMPDIR=str(place)) as command:
        while "LeaseAcquired" not in command.read_line():
            pass
        assert find_processes(str(place))

        command.send_signal(signal.SIGKILL)

        wait_until(lambda: not find_processes(str(place)))


async def test_temporary_service_ends_with_its_block(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(place))

    async with temporary_service(window_seconds=2.0) as service:
        assert httpx2.get(f"{service.url}/readyz").json()["status"] == "ready"

    assert find_processes(str(place)) == []
    assert list(place.iterdir()) == []


def test_demo_prints_text_without_a_terminal(place: Path) -> None:
    outcome = run_cli(*SHORT, "--no-json", TMPDIR=str(place))

    output = outcome.stdout
    assert outcome.code == 0
    assert re.search(
        r"^ +\d+\.\d\d s  demo-\w+ holds \w+@demo\.example until", output, re.MULTILINE
    )
    assert f"{CRASHING_AGENT} is killed" in output
    assert re.search(r"^overlapping leases +0 of \d+", output, re.MULTILINE)
    assert re.search(r"mail of demo-ben to \w+@demo\.example was blocked: demo-ada holds", output)
    assert "a task and its result in" in output
    assert "sent a heartbeat" not in output


def test_demo_draws_a_live_display_at_a_terminal(place: Path) -> None:
    variables = environment(TMPDIR=str(place))

    code, sent = run_in_terminal(SHORT, variables, columns=100)

    assert code == 0
    for words in ("quorate demo", "held by", "waiting", "proposal", "approved, 3 to"):
        assert words in sent
    assert "overlapping leases" in sent


def test_demo_names_the_missing_server_package(place: Path, tmp_path: Path) -> None:
    missing = tmp_path / "uvicorn"
    missing.mkdir()
    code = 'raise ModuleNotFoundError("No module named \'uvicorn\'", name="uvicorn")\n'
    (missing / "__init__.py").write_text(code)
    path = os.pathsep.join((str(tmp_path), environment()["PYTHONPATH"]))

    outcome = run_cli(*SHORT, TMPDIR=str(place), PYTHONPATH=path)

    assert outcome.code == 1
    assert "pip install 'quorate[server]'" in outcome.stderr
    assert list(place.iterdir()) == []


# -- On a running service --------------------------------------------------------


def test_demo_does_not_write_to_the_configured_service_by_default(
    tenant: Tenant, place: Path
) -> None:
    head = tenant.head

    run_cli(*SHORT, **tenant.variables, TMPDIR=str(place))

    assert tenant.head == head


def test_demo_runs_on_the_running_service(tenant: Tenant) -> None:
    outcome = run_cli(*SHORT, "--no-json", "--running", **tenant.variables)

    assert outcome.code == 0, outcome.stderr
    assert re.search(r"^overlapping leases +0 of \d+", outcome.stdout, re.MULTILINE)
    assert "not shown: the heartbeat window is 300 s" in outcome.stdout
    assert len(tenant.events("LeaseAcquired")) > len(CONTACTS)
    assert tenant.leases() == []


def test_demo_does_not_affect_other_agents(tenant: Tenant) -> None:
    tenant.register("bystander")
    lease = tenant.lease("bystander", "user@example.com")

    outcome = run_cli(*SHORT, "--no-json", "--url", tenant.service.url, **tenant.variables)

    assert outcome.code == 0, outcome.stderr
    assert "bystander" not in outcome.stdout
    assert [one["id"] for one in tenant.leases()] == [lease["id"]]


# -- Measurements and scene ------------------------------------------------------


def make_hold(agent: str, contact: str, began: float, ended: float) -> Hold:
    return Hold(agent=agent, contact=contact, fence=1, began=began, ended=ended)


def test_overlapping_holds_are_detected() -> None:
    long, inside, after = (
        make_hold(ANN, CONTACT, 0.0, 5.0),
        make_hold(BOB, CONTACT, 1.0, 2.0),
        make_hold(BOB, CONTACT, 4.0, 6.0),
    )

    assert find_overlaps([after, inside, long]) == [(long, inside), (long, after)]


def test_consecutive_holds_do_not_overlap() -> None:
    holds = [
        make_hold(ANN, CONTACT, 0.0, 1.0),
        make_hold(BOB, CONTACT, 1.0, 2.0),
        make_hold(ANN, CONTACTS[1], 1.0, 2.0),
    ]

    assert find_overlaps(holds) == []


def make_event(type_: str, second: int, **details: object) -> dict[str, Any]:
    return {"type": type_, "at": f"2026-03-01T12:00:{second:02}.000Z", "data": details}


def make_registration(name: str) -> dict[str, Any]:
    until = "2026-03-01T12:00:30.000Z"
    return make_event(
        "AgentRegistered",
        0,
        agentId=name.upper(),
        agentName=name,
        agentRole="demo",
        incarnation=1,
        activeUntil=until,
    )


def make_contact_event(type_: str, second: int, agent: str, **details: object) -> dict[str, Any]:
    named = {"agentId": agent.upper(), "contactKey": CONTACT, "contactEmail": CONTACT}
    return make_event(type_, second, **named, **details)


def test_scene_reflects_the_events() -> None:
    scene = Scene(NAMES, CONTACTS)
    until = "2026-03-01T12:01:00.000Z"
    conflict = {"agentName": BOB, "holderName": CRASHING_AGENT, "expiresAt": until}
    for each in (
        make_registration(CRASHING_AGENT),
        make_registration(BOB),
        make_contact_event("LeaseAcquired", 1, CRASHING_AGENT, expiresAt=until, fence=3),
        make_contact_event("LeaseConflicted", 2, BOB, **conflict),
    ):
        assert scene.apply(each) is not None
    contact = scene.contacts[CONTACT]
    assert (contact.holder, contact.fence, contact.waiting) == (CRASHING_AGENT, 3, [BOB])
    assert (
        scene.apply(make_contact_event("LeaseConflicted", 3, BOB, **conflict)) is None
    )  # A retry is hidden.

    scene.apply(make_contact_event("LeaseRevoked", 5, CRASHING_AGENT, reason="agent_inactive"))
    scene.apply(make_contact_event("LeaseAcquired", 6, BOB, expiresAt=until, fence=9))

    assert (contact.holder, contact.waiting) == (BOB, [])
    assert scene.reacquired == (BOB, 1.0)


def test_scene_ignores_agents_outside_the_demo() -> None:
    scene = Scene(NAMES, CONTACTS)

    output = [
        scene.apply(one)
        for one in (make_registration("other"), make_contact_event("LeaseExpired", 1, "other"))
    ]

    assert output == [None, None]
    assert scene.agents == {}
