"""`quorate mcp` as a process: its streams, its end, its messages, and heartbeats."""

import json
import signal
from collections.abc import Iterator

import pytest

from tests.e2e.cli.cli_process import CliProcess, start_cli
from tests.e2e.service.http_clients import connect_operator
from tests.e2e.service.mcp_clients import call_ok, connect_stdio
from tests.e2e.service.nats_listener import wait_until
from tests.e2e.service.service_process import ServiceProcess, run_service

WINDOW_SECONDS = 2.0
INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    },
}
NOWHERE = {"QUORATE_URL": "http://127.0.0.1:1", "QUORATE_API_KEY": "qk_test"}


def initialize(process: CliProcess) -> None:
    process.write(json.dumps(INITIALIZE) + "\n")
    answer = json.loads(process.read_line())
    assert answer["result"]["serverInfo"]["name"] == "quorate"
    assert "coordinate" in answer["result"]["instructions"]


def test_ends_when_the_client_closes_standard_input() -> None:
    with start_cli("mcp", **NOWHERE) as process:
        initialize(process)
        outcome = process.wait()

    assert (outcome.code, outcome.stdout) == (0, "")
    assert "Traceback" not in outcome.stderr


def test_ends_with_a_signal_while_standard_input_is_open() -> None:
    with start_cli("mcp", **NOWHERE) as process:
        initialize(process)
        process.send_signal(signal.SIGTERM)
        code = process.process.wait(timeout=30)

    assert code == 128 + signal.SIGTERM


def test_unreadable_line_does_not_end_the_server() -> None:
    with start_cli("mcp", **NOWHERE) as process:
        process.write("not JSON\n")
        initialize(process)


def test_missing_key_is_reported_on_standard_error_only() -> None:
    with start_cli("mcp", QUORATE_URL="http://127.0.0.1:1", HOME="/nonexistent") as process:
        outcome = process.wait()

    assert (outcome.code, outcome.stdout) == (4, "")
    assert "No API key configured" in outcome.stderr


@pytest.fixture(scope="module")
def short_window(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    folder = tmp_path_factory.mktemp("service") / "data"
    with run_service(folder, "--heartbeat-window-seconds", str(WINDOW_SECONDS)) as running:
        yield running


async def test_heartbeats_keep_a_registered_agent_active(short_window: ServiceProcess) -> None:
    async with connect_operator(short_window) as operator:
        tenant = await operator.create_tenant()
        async with connect_stdio(short_window, tenant.text, "--heartbeat") as client:
            agent = await call_ok(client, "register", agentName="ann")

            async def has_heartbeat() -> bool:
                found = await tenant.agent(str(agent["id"]))
                return bool(found["lastHeartbeat"] > agent["lastHeartbeat"])

            await wait_until(has_heartbeat)

        async def is_inactive() -> bool:
            return bool((await tenant.agent(str(agent["id"])))["status"] != "active")

        await wait_until(is_inactive)
