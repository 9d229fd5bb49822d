"""`quorate events list|get|tail`, `status`, `version` and `credentials`."""

import json
import os
import signal
from pathlib import Path

import orjson
import pytest

from quorate import __version__
from tests.e2e.cli.cli_process import start_cli
from tests.e2e.cli.conftest import Run
from tests.e2e.cli.terminal import Terminal
from tests.e2e.service.service_process import ServiceProcess

# -- Events ------------------------------------------------------------------------


def test_events_are_listed_by_type_agent_and_position(tenant: Terminal) -> None:
    tenant.run_json("lease", "acquire", "user@example.com", "--agent-name", "ann")
    everything = tenant.run_json("events", "list")
    types = [event["type"] for event in everything]

    assert types[-3:] == ["AgentRegistered", "AgentRegistered", "LeaseAcquired"]
    of_type = tenant.run_json("events", "list", "--type", "AgentRegistered")
    assert [event["data"]["agentName"] for event in of_type] == ["ann", "bob"]
    of_agent = tenant.run_json("events", "list", "--agent", "ann")
    assert [event["type"] for event in of_agent] == ["AgentRegistered", "LeaseAcquired"]
    assert tenant.run_json("events", "list", "--after", "1", "--limit", "1") == [everything[1]]
    assert tenant.run_quiet("events", "list", "--limit", "2") == "1\n2"
    table = tenant.run("events", "list").stdout
    assert "ann holds user@example.com until" in table
    assert everything[0]["id"] not in table


def test_long_event_list_is_read_in_pages(
    tenant: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    everything = tenant.run_json("events", "list")
    monkeypatch.setattr("quorate.contracts.wire_models.PAGE_LENGTH_MAX", 2)

    assert tenant.run_json("events", "list") == everything
    assert tenant.run_json("events", "list", "--limit", "3") == everything[:3]


def test_one_event_is_shown(tenant: Terminal) -> None:
    event = tenant.run_json("events", "get", "2")
    shown = tenant.run("events", "get", "2").stdout

    assert event["sequence"] == 2
    assert shown.startswith("#2 ")
    assert event["hash"] in shown
    missing = tenant.run("events", "get", "999999")
    assert missing.exit_code == 5
    assert missing.stderr.startswith("Error: Event 999999 not found: the log ends with event ")
    assert tenant.run("events", "get", "0").exit_code == 2


def test_last_events_are_shown(tenant: Terminal) -> None:
    everything = tenant.run_json("events", "list")

    assert tenant.run_json("events", "tail", "-n", "2") == everything[-2:]
    assert tenant.run_json("events", "tail", "-n", "0") == []
    assert tenant.run_json("events", "tail", "--type", "AgentRegistered") == everything[-2:]


def test_tail_follows_the_log_until_interrupted(tenant: Terminal, real: ServiceProcess) -> None:
    variables = {"QUORATE_URL": real.url, "QUORATE_API_KEY": os.environ["QUORATE_API_KEY"]}
    words = ("events", "tail", "-n", "1", "--follow", "-o", "json")
    with start_cli(*words, **variables) as following:
        first = orjson.loads(following.read_line())
        tenant.run_json("agents", "register", "carl")
        second = orjson.loads(following.read_line())
        following.send_signal(signal.SIGINT)
        outcome = following.wait()

    assert first["data"]["agentName"] == "bob"
    assert second["data"]["agentName"] == "carl"
    assert outcome.code == 130


def test_agent_key_is_told_which_key_it_needs(tenant: Terminal) -> None:
    tenant.set_key(tenant.run_quiet("keys", "issue", "--role", "agent", "--agent-name", "ann"))

    result = tenant.run("events", "list")

    assert result.exit_code == 4
    assert "agent" in result.stderr
    assert "the key is from QUORATE_API_KEY" in result.stderr


# -- Status and version -------------------------------------------------------------


def test_status_counts_what_the_tenant_has(tenant: Terminal) -> None:
    tenant.run_json("lease", "acquire", "user@example.com", "--agent-name", "ann")
    found = tenant.run_json("status")
    shown = tenant.run("status").stdout

    assert found["status"] in {"ready", "degraded"}
    assert (found["agents"], found["activeAgents"], found["leases"]) == (2, 2, 1)
    assert (found["pendingProposals"], found["version"]) == (0, __version__)
    assert found["events"] == tenant.run_json("events", "tail", "-n", "1")[0]["sequence"]
    assert "active agents      2" in shown


def test_status_shows_since_when_the_tenant_is_paused(tenant: Terminal) -> None:
    before = tenant.run_json("status")
    why = ("--yes", "--reason", "Too much mail")
    paused = tenant.run_json("tenants", "pause", before["tenantId"], *why)
    shown = tenant.run("status", "--no-json")

    assert before["pausedAt"] is None
    assert "paused since" in shown.stdout
    assert paused["pausedAt"] in shown.stdout


@pytest.mark.parametrize("role", ["agent", "auditor"])
def test_status_is_for_every_role(tenant: Terminal, role: str) -> None:
    whose = ("--agent-name", "ann") if role == "agent" else ()
    tenant.set_key(tenant.run_quiet("keys", "issue", "--role", role, *whose))

    found = tenant.run_json("status")

    assert (found["role"], found["agents"]) == (role, 2)
    assert ("events" in found) == (role == "auditor")


def test_version_names_client_and_service(
    run: Run, real: ServiceProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = run("version", "--json")
    unreachable = run("version", "--url", "http://127.0.0.1:1")
    monkeypatch.setenv("QUORATE_URL", real.url)

    assert orjson.loads(alone.stdout) == {"client": __version__, "service": None, "url": None}
    assert unreachable.exit_code == 0
    assert "http://127.0.0.1:1 does not respond" in unreachable.stdout
    assert f"service  {__version__} at {real.url}" in run("version").stdout


# -- Credentials --------------------------------------------------------------------


def test_credentials_are_shown_without_keys(run: Run, real: ServiceProcess) -> None:
    words = ("credentials", "show", "--data-dir", real.data_dir)
    shown = run(*words)
    as_json = run(*words, "--json")

    assert real.url in shown.stdout
    assert "qk_" not in shown.output + as_json.output
    assert orjson.loads(as_json.stdout)["natsUrl"] == real.nats_url


def test_one_credential_is_printed_alone(run: Run, real: ServiceProcess) -> None:
    show = ("credentials", "show", "--data-dir", real.data_dir)

    assert run(*show, "api-key").stdout == f"{real.api_key}\n"
    assert run(*show, "url").stdout == f"{real.url}\n"


def test_missing_credentials_are_not_found(run: Run, tmp_path: Path) -> None:
    assert run("credentials", "show").exit_code == 5
    (tmp_path / "credentials.json").write_text(json.dumps({"url": "http://x"}))
    assert run("credentials", "show", "api-key", "--data-dir", tmp_path).exit_code == 5
    (tmp_path / "credentials.json").write_text("[")
    assert run("credentials", "show", "--data-dir", tmp_path).exit_code == 1
