"""Parts of the demo without a service: when it ends, its measurements, and its scene."""

from typing import Any

import pytest

from quorate.cli.demo.fleet import Fleet, Hold, find_overlaps
from quorate.cli.demo.parts import missing_parts
from quorate.cli.demo.scene import ProposalView, Scene, TaskView
from quorate.cli.demo.script import (
    CONTACTS,
    CRASHING_AGENT,
    CRASHING_WORKER,
    EXTRA_SECONDS_MAX,
    NAMES,
    PRESET,
    WORKER,
    DemoConfig,
)

ANN, BOB = "demo-ada", "demo-ben"
CONTACT = CONTACTS[0]


# -- The end of the demo ---------------------------------------------------------


def make_fleet(seconds: float, *, is_complete: bool) -> Fleet:
    config = DemoConfig(
        url="http://127.0.0.1:1",
        nats_url=None,
        api_key="key",
        seconds=seconds,
        window_seconds=2.0,
        shows_timeout=True,
    )
    return Fleet(config, is_complete=lambda: is_complete, on_crash=lambda _name: None)


@pytest.mark.parametrize(
    ("seconds", "is_complete", "is_over"),
    [
        pytest.param(60.0, True, False, id="complete before its duration"),
        pytest.param(0.0, True, True, id="complete"),
        pytest.param(0.0, False, False, id="incomplete after its duration"),
        pytest.param(-EXTRA_SECONDS_MAX, False, True, id="incomplete after the extra time"),
    ],
)
async def test_demo_ends_when_all_is_shown(
    seconds: float, is_complete: bool, is_over: bool
) -> None:
    assert make_fleet(seconds, is_complete=is_complete).is_over == is_over


async def test_missing_parts_of_the_demo_are_named() -> None:
    fleet, scene = make_fleet(5.0, is_complete=False), Scene(NAMES, CONTACTS)

    assert [*missing_parts(scene, fleet)] == [*("lease conflict", "vote", "mail", "task", "crash")]

    scene.counts.update(["LeaseConflicted", "SendBlocked"])
    scene.vote = ProposalView(action="pause", contact=CONTACT, outcome="approved")
    fleet.delegation.task_seconds = 0.1
    scene.task = TaskView(id="task_1", completions=1)
    assert [*missing_parts(scene, fleet)] == ["crash"]

    fleet.lease_crash.crashed_at = 1.0
    scene.timed_out_at[CRASHING_AGENT] = 2.0
    scene.reacquired = (BOB, 0.1)
    assert [*missing_parts(scene, fleet)] == []


async def test_crashing_agent_that_lost_its_lease_has_none() -> None:
    crash = make_fleet(5.0, is_complete=False).lease_crash

    crash.observe("LeaseAcquired", BOB)

    held = [crash.has_lease]
    for type_ in ("LeaseAcquired", "LeaseRevoked"):
        crash.observe(type_, CRASHING_AGENT)
        held.append(crash.has_lease)

    assert held == [False, True, False]


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


def test_scene_forgets_timeouts_before_the_crash() -> None:
    scene = Scene(NAMES, CONTACTS)
    until = "2026-03-01T12:01:00.000Z"
    lapse = {"agentName": CRASHING_AGENT, "lastHeartbeat": until}
    scene.apply(make_registration(CRASHING_AGENT))
    scene.apply(make_event("AgentLapsed", 1, agentId=CRASHING_AGENT.upper(), **lapse))
    assert scene.timed_out_at

    scene.record_crash("killed")

    assert scene.timed_out_at == {}
    assert scene.events[-1].sentence == "killed"


def make_task_event(type_: str, second: int, worker: str, **details: object) -> dict[str, Any]:
    named = {"taskId": "task_1", "spawnerId": ANN.upper(), "workerId": worker.upper()}
    return make_event(type_, second, **named, **details)


def test_scene_follows_the_task() -> None:
    scene = Scene(NAMES, CONTACTS)
    until = "2026-03-01T12:01:00.000Z"
    submitted = {"taskId": "task_1", "spawnerId": ANN.upper(), "timesOutAt": until}
    claim = {"preset": PRESET, "fence": 7, "expiresAt": until}
    for name in (ANN, WORKER, CRASHING_WORKER):
        scene.apply(make_registration(name))
    for each in (
        make_event("TaskSubmitted", 1, preset=PRESET, **submitted),
        make_task_event("TaskClaimed", 2, CRASHING_WORKER, attempts=1, **claim),
        make_task_event("TaskClaimEnded", 3, CRASHING_WORKER, reason="expired"),
        make_event("TaskOffered", 4, taskId="task_1", preset=PRESET, attempts=1),
        make_task_event("TaskClaimed", 4, WORKER, attempts=2, **claim),
    ):
        assert scene.apply(each) is not None
    assert scene.task is not None
    assert scene.task.status == "running"

    scene.apply(make_task_event("TaskCompleted", 5, WORKER))

    assert scene.task == TaskView(
        id="task_1",
        status="completed",
        attempts=2,
        workers=[CRASHING_WORKER, WORKER],
        completions=1,
        ended_at=scene.now,
    )


def test_scene_ignores_tasks_of_others() -> None:
    scene = Scene(NAMES, CONTACTS)

    other = make_event("TaskOffered", 1, taskId="task_9", preset="other", attempts=1)

    assert scene.apply(other) is None
