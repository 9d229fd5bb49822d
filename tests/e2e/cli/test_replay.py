"""`quorate replay`: state reconstructed from an exported log, offline."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson
import pytest

from quorate.cli.audit.history import Until, replay_events
from quorate.cli.output.tenant_snapshot import take_snapshot
from quorate.domain.coordination.consensus import CONSENSUS
from quorate.domain.coordination.leases import LEASES
from quorate.domain.identity.agents import AGENTS
from quorate.domain.shared.state import TenantState
from quorate.domain.shared.timestamps import Timestamp, instant, iso
from quorate.eventlog.archive.export_format import encode_line
from quorate.eventlog.hash_chain import GENESIS, link
from quorate.projections.coordination import consensus
from quorate.projections.coordination import leases as lease_models
from quorate.projections.identity import agents as agent_models
from quorate.projections.repository import Repository
from quorate.projections.sessions import list_items, schedules, task_lists
from tests.e2e.cli.conftest import TENANT, RecordedLog, Run


def run_replay(run: Run, log: Path, *arguments: str) -> dict[str, Any]:
    result = run("replay", log, "--json", *arguments)
    assert result.exit_code == 0, result.stderr
    found: dict[str, Any] = orjson.loads(result.stdout)
    return found


def read_table(recorded_log: RecordedLog, table: str) -> set[tuple[Any, ...]]:
    with closing(sqlite3.connect(recorded_log.data_dir / "quorate.db")) as connection:
        return set(connection.execute(f"SELECT * FROM {table} WHERE tenant = ?", (TENANT,)))  # noqa: S608


def rows_of(tenant_state: TenantState, repository: Repository[Any]) -> set[tuple[Any, ...]]:
    """Return the rows that the table has; what was removed has none."""
    return {
        tuple(repository.to_row(TENANT, id_, one))
        for id_, one in tenant_state[repository.aggregate].items()
        if repository.is_removed is None or not repository.is_removed(one)
    }


# -- Equal to live state------------------------------------------------------------


def test_replay_equals_the_state_of_the_service(recorded_log: RecordedLog) -> None:
    tenant_state = replay_events(recorded_log.events, Until()).tenant_state

    agents = rows_of(tenant_state, agent_models.AGENTS)
    requests = rows_of(tenant_state, consensus.CONSENSUS)
    leases = rows_of(tenant_state, lease_models.LEASES)
    votes = {
        tuple(consensus.vote_row(TENANT, vote))
        for request in tenant_state[CONSENSUS].values()
        for vote in request.votes.values()
    }
    items = rows_of(tenant_state, list_items.LIST_ITEMS)
    lists = rows_of(tenant_state, task_lists.TASK_LISTS)
    scheduled = rows_of(tenant_state, schedules.SCHEDULES)
    assert agents == read_table(recorded_log, "agents")
    assert requests == read_table(recorded_log, "requests")
    assert leases == read_table(recorded_log, "leases")
    assert votes == read_table(recorded_log, "votes")
    assert items == read_table(recorded_log, "list_items")
    assert lists == read_table(recorded_log, "task_lists")
    assert scheduled == read_table(recorded_log, "schedules")
    assert min(map(len, (agents, requests, leases, votes, items, lists, scheduled))) > 0


def test_replay_removes_ended_leases(
    recorded_log: RecordedLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    def alive(tenant_state: TenantState) -> dict[str, Any]:
        return {one.id: one for one in tenant_state[LEASES].values() if one.status == "active"}

    complete = replay_events(recorded_log.events, Until()).tenant_state
    monkeypatch.setattr("quorate.cli.audit.history.EVENTS_BETWEEN_CLEANUPS", 3)
    cleared = replay_events(recorded_log.events, Until()).tenant_state

    assert len(cleared[LEASES]) < len(complete[LEASES])
    assert alive(cleared) == alive(complete)
    assert dict(cleared[AGENTS].items()) == dict(complete[AGENTS].items())
    assert dict(cleared[CONSENSUS].items()) == dict(complete[CONSENSUS].items())


# -- At a time --------------------------------------------------------------------


def find_holders(events: list[dict[str, Any]], at: Timestamp) -> dict[str, str]:
    """Find the holders at a time with a naive search for the end of each lease."""
    until: dict[str, Timestamp] = {}
    held: dict[str, dict[str, Any]] = {}
    for event in events:
        data = event["data"]
        if instant(event["at"]) > at:
            break
        match event["type"]:
            case "AgentRegistered" | "AgentReregistered" | "HeartbeatReceived":
                until[data["agentId"]] = instant(data["activeUntil"])
            case "LeaseAcquired":
                held[data["leaseId"]] = dict(data)
            case "LeaseRenewed":
                held[data["leaseId"]]["expiresAt"] = data["expiresAt"]
            case "LeaseReleased" | "LeaseExpired" | "LeaseRevoked":
                del held[data["leaseId"]]
            case _:
                pass
    return {
        one["contactEmail"]: one["agentId"]
        for one in held.values()
        if at < instant(one["expiresAt"]) and at <= until[one["agentId"]]
    }


def test_replay_finds_the_holders_at_every_time(recorded_log: RecordedLog) -> None:
    events = recorded_log.events
    moments = {
        Timestamp(instant(event["at"]) + offset)
        for event in events
        for offset in (-1, 0, 1, 90_000)
    }
    held = 0
    for at in sorted(moments):
        found = take_snapshot(replay_events(events, Until(at=at)))
        names = {lease["contactEmail"]: lease["agentId"] for lease in found["leases"]}
        assert names == find_holders(events, at)
        held += len(names)
    assert held


def test_until_time_between_events_is_evaluated_at_that_time(run: Run, tmp_path: Path) -> None:
    log = tmp_path / "small.jsonl"
    log.write_bytes(b"".join(encode_line(event) for event in make_small_log()))

    before = run_replay(run, log, "--until", "2026-03-01T12:01:59Z")
    expired = run_replay(run, log, "--until", "2026-03-01T14:02:00+02:00")
    lapsed = run_replay(run, log, "--until", "2026-03-01T12:05:00.001Z")

    assert [lease["contactEmail"] for lease in before["leases"]] == ["kim@example.com"]
    assert before["agents"][0]["leasesHeld"] == 1
    assert expired["leases"] == []
    assert expired["at"] == "2026-03-01T12:02:00.000Z"
    assert [agent["status"] for agent in expired["agents"]] == ["active"]
    assert [agent["status"] for agent in lapsed["agents"]] == ["inactive"]
    assert before["sequence"] == expired["sequence"] == lapsed["sequence"] == 4
    assert [one["status"] for one in before["consensus"]] == ["pending"]
    assert [one["status"] for one in expired["consensus"]] == ["expired"]


def make_small_log() -> list[dict[str, Any]]:
    """Events: ann leases kim for two minutes at noon and creates a proposal of one minute."""
    noon = instant("2026-03-01T12:00:00.000Z")
    ann = {"agentId": "agent_ann"}
    kim = {"contactEmail": "kim@example.com", "contactKey": "kim@example.com"}
    facts: list[tuple[str, dict[str, Any]]] = [
        ("TenantCreated", {"tenantId": "acme"}),
        (
            "AgentRegistered",
            ann
            | {
                "activeUntil": iso(Timestamp(noon + 300_000)),
                "agentName": "ann",
                "agentRole": "outbound",
                "incarnation": 1,
            },
        ),
        (
            "LeaseAcquired",
            ann
            | kim
            | {
                "expiresAt": iso(Timestamp(noon + 120_000)),
                "fence": 3,
                "intent": "[bold]general\x1b[2J",
                "leaseId": "l",
            },
        ),
        (
            "ConsensusRequested",
            ann
            | kim
            | {
                "action": "pause",
                "electorate": "live",
                "eligible": 1,
                "minimum": 0,
                "proposerVotes": True,
                "reason": "why not",
                "requestId": "r",
                "timeoutAt": iso(Timestamp(noon + 120_000)),
            },
        ),
    ]
    events, previous = [], GENESIS.hash
    for sequence, (type_, data) in enumerate(facts, start=1):
        event: dict[str, Any] = {
            "sequence": sequence,
            "id": str(sequence),
            "stream": "s",
            "type": type_,
            "version": 1,
            "at": iso(noon),
            "actor": "key",
            "commandId": "c",
            "data": data,
        }
        previous = link(previous, event)
        events.append(event | {"hash": previous.hex()})
    return events


# -- Until a sequence -------------------------------------------------------------


@pytest.mark.parametrize("sequence", [1, 2, 30])
def test_until_sequence_is_the_last_applied_event(
    run: Run, log: Path, recorded_log: RecordedLog, sequence: int
) -> None:
    found = run_replay(run, log, "--until", str(sequence))

    assert found["tenantId"] == TENANT
    assert found["sequence"] == sequence
    assert found["at"] == recorded_log.events[sequence - 1]["at"]


def test_replay_without_until_applies_all_events(
    run: Run, log: Path, recorded_log: RecordedLog
) -> None:
    assert run_replay(run, log)["sequence"] == len(recorded_log.lines)


def test_until_sequence_after_the_end_is_reported(
    run: Run, log: Path, recorded_log: RecordedLog
) -> None:
    result = run("replay", log, "--until", str(len(recorded_log.lines) + 1))

    assert result.exit_code == 1
    assert f"the file ends with event {len(recorded_log.lines)}" in result.stderr


def test_until_before_the_first_event_gives_empty_state(run: Run, log: Path) -> None:
    found = run_replay(run, log, "--until", "2000-01-01T00:00:00Z")

    assert (found["tenantId"], found["sequence"]) == (None, 0)
    assert found["agents"] == found["leases"] == found["consensus"] == []


@pytest.mark.parametrize("until", ["yesterday", "-1", "2026-03-01T12:00:00", "1.5", ""])
def test_invalid_until_is_a_usage_error(run: Run, log: Path, until: str) -> None:
    assert run("replay", log, "--until", until).exit_code == 2


# -- Tables -----------------------------------------------------------------------


def test_replay_prints_tables(run: Run, tmp_path: Path) -> None:
    log = tmp_path / "small.jsonl"
    log.write_bytes(b"".join(encode_line(event) for event in make_small_log()))

    result = run("replay", log)

    assert result.exit_code == 0
    assert result.stdout.startswith("Tenant acme after event 4, at 2026-03-01T12:00:00.000Z")
    for words in ("ann", "outbound", "kim@example.com", "2026-03-01 12:02:00", "pause", "pending"):
        assert words in result.stdout


def test_log_text_is_neutralized_in_tables(run: Run, tmp_path: Path) -> None:
    log = tmp_path / "small.jsonl"
    log.write_bytes(b"".join(encode_line(event) for event in make_small_log()))

    result = run("replay", log)

    assert "\x1b" not in result.stdout
    assert "[bold]general" in result.stdout


# -- Invalid files ----------------------------------------------------------------


def test_modified_file_is_replayed_only_with_no_verify(
    run: Run, log: Path, recorded_log: RecordedLog
) -> None:
    event = recorded_log.events[1]
    event["data"]["agentName"] = "mallory"
    log.write_bytes(b"".join([recorded_log.lines[0], encode_line(event), *recorded_log.lines[2:]]))

    rejected = run("replay", log)
    state = run_replay(run, log, "--no-verify", "--until", "2")

    assert rejected.exit_code == 1
    assert "corrupted at event 2 (line 2)" in rejected.stderr
    assert "mallory" in [agent["agentName"] for agent in state["agents"]]


def test_modification_after_until_is_detected(
    run: Run, log: Path, recorded_log: RecordedLog
) -> None:
    log.write_bytes(b"".join(recorded_log.lines) + b"garbage\n")

    assert run("replay", log, "--until", "2").exit_code == 1


def test_replay_rejects_a_file_without_the_first_event(
    run: Run, log: Path, recorded_log: RecordedLog
) -> None:
    log.write_bytes(b"".join(recorded_log.lines[5:]))

    incomplete = run("replay", log)
    unverified = run("replay", log, "--no-verify")

    assert incomplete.exit_code == unverified.exit_code == 1
    assert "starts at event 6" in incomplete.stderr
    assert unverified.stderr.count("\n") == 1


def test_replay_rejects_an_unknown_event_type(
    run: Run, log: Path, recorded_log: RecordedLog
) -> None:
    event = recorded_log.events[-1] | {"version": 99}
    log.write_bytes(b"".join([*recorded_log.lines[:-1], encode_line(event)]))

    result = run("replay", log, "--no-verify")

    assert result.exit_code == 1
    assert "needs a newer Quorate" in result.stderr


def test_replay_rejects_an_empty_file(run: Run, log: Path) -> None:
    log.write_bytes(b"")

    assert "contains no events" in run("replay", log).stderr
