"""`quorate lease run`: a program runs only while its lease is held."""

import os
import signal
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from tests.e2e.cli.cli_process import (
    CliProcess,
    Tenant,
    has_exited,
    is_stopped,
    run_cli,
    start_cli,
    wait_until,
    without_key,
)
from tests.e2e.cli.terminal import new_tenant_name
from tests.e2e.service.service_process import ServiceProcess

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="descendants are found on Linux")

CONTACT = "user@example.com"
RUN = ("lease", "run", CONTACT, "--agent-name", "mailer")
# Prints "ready", and ends when it reads a line.
SLEEPER = ("sh", "-c", "echo $$; exec sleep 300")
UNTIL_INPUT = ("--", "sh", "-c", "echo ready; read line; echo ended")
# Ends on SIGTERM, and prints the time.
ENDING_ON_SIGTERM = "trap 'date +%s.%N; exit 0' TERM; echo ready; while :; do sleep 0.02; done"
# Prints its pid, and which came first: an input line or SIGTERM.
WAITING = (
    *("--", "sh", "-c"),
    "trap 'echo got SIGTERM; exit 0' TERM; echo $$; read line; echo continued",
)
# Minimum time between SIGTERM and the end of the lease.
TIME_TO_END_SECONDS_MIN = 1.0
# It and its child print their pids and ignore SIGTERM.
IGNORING_SIGTERM = (
    "trap '' TERM; sh -c 'trap \"\" TERM; echo $$; exec sleep 300' & echo $$; wait; wait"
)


@pytest.fixture
def tenant(real: ServiceProcess) -> Iterator[Tenant]:
    tenant = Tenant(real, new_tenant_name())
    yield tenant
    tenant.close()


def test_program_gets_the_lease_in_its_environment(tenant: Tenant) -> None:
    with start_cli(*RUN, "--", "sh", "-c", "env; read line", **tenant.variables) as command:
        found: dict[str, str] = {}
        while "QUORATE_LEASE_ID" not in found or "QUORATE_FENCE" not in found:
            name, _, value = command.read_line().partition("=")
            found[name] = value
        (lease,) = tenant.leases()
        command.write("end\n")
        outcome = command.wait()

    for line in outcome.stdout.splitlines():
        name, _, value = line.partition("=")
        found[name] = value
    assert found["QUORATE_LEASE_ID"] == lease["id"]
    assert found["QUORATE_FENCE"] == str(lease["fence"])
    assert found["QUORATE_CONTACT"] == CONTACT
    assert found["QUORATE_AGENT_ID"] == lease["agentId"]
    assert found["QUORATE_URL"] == tenant.service.url


def test_lease_is_released_when_the_program_ends(tenant: Tenant) -> None:
    with start_cli(*RUN, *UNTIL_INPUT, **tenant.variables) as command:
        assert command.read_line() == "ready"
        held = tenant.leases()
        command.write("end\n")
        outcome = command.wait()

    assert [lease["contactEmail"] for lease in held] == [CONTACT]
    assert outcome == (0, "ended\n", "")
    assert tenant.leases() == []
    assert len(tenant.events("LeaseReleased")) == 1


def test_key_option_is_not_passed_to_the_program(tenant: Tenant) -> None:
    words = (*RUN, "--api-key", tenant.key, "--", "env")

    assert tenant.key not in run_cli(*words, **without_key(tenant.variables)).stdout
    assert tenant.key in run_cli(*RUN, "--", "env", **tenant.variables).stdout


@pytest.mark.parametrize(("script", "code"), [("exit 7", 7), ("kill -9 $$", 137), ("true", 0)])
def test_exit_code_is_that_of_the_program(tenant: Tenant, script: str, code: int) -> None:
    assert run_cli(*RUN, "--", "sh", "-c", script, **tenant.variables).code == code


def test_missing_program_acquires_no_lease(tenant: Tenant) -> None:
    before = tenant.head

    outcome = run_cli(*RUN, "--", "no-such-program", **tenant.variables)

    assert outcome.code == 127
    assert outcome.stderr == "Error: Program 'no-such-program' not found, or not executable.\n"
    assert tenant.head == before


def test_lease_is_released_if_the_program_cannot_start(tenant: Tenant, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.write_text("#!/no/such/interpreter\n")
    broken.chmod(0o755)

    outcome = run_cli(*RUN, "--", str(broken), **tenant.variables)

    assert outcome.code == 126
    assert "Cannot start" in outcome.stderr
    assert tenant.leases() == []


def test_lease_run_keeps_the_role_of_the_agent(tenant: Tenant) -> None:
    body = {"agentName": "mailer", "agentRole": "outbound"}
    agent_id = tenant.request("POST", "/v1/agent/register", body)["id"]

    run_cli(*RUN, "--", "true", **tenant.variables)

    assert tenant.request("GET", f"/v1/agent/agents/{agent_id}")["agentRole"] == "outbound"


# -- Leased contact ----------------------------------------------------------------


def test_leased_contact_is_rejected_without_wait(tenant: Tenant) -> None:
    tenant.register("rival")
    lease = tenant.lease("rival", CONTACT)

    outcome = run_cli(*RUN, "--", "echo", "ran", **tenant.variables)

    until_second = lease["expiresAt"][:19].replace("T", " ")
    assert outcome.code == 3
    assert outcome.stdout == ""
    assert f"{CONTACT} is leased by rival until {until_second} UTC" in outcome.stderr
    assert "--wait" in outcome.stderr


def test_lease_run_waits_for_a_leased_contact(tenant: Tenant) -> None:
    tenant.register("rival")
    lease = tenant.lease("rival", CONTACT)
    with start_cli(*RUN, "--wait", "60", "--", "echo", "ran", **tenant.variables) as command:
        wait_until(lambda: tenant.events("LeaseConflicted"))

        tenant.release(lease["id"])

        assert command.wait() == (0, "ran\n", "")


def test_wait_ends_after_its_timeout(tenant: Tenant) -> None:
    tenant.register("rival")
    tenant.lease("rival", CONTACT)

    outcome = run_cli(*RUN, "--wait", "0.2", "--", "echo", "ran", **tenant.variables)

    assert (outcome.code, outcome.stdout) == (3, "")
    assert "leased by rival" in outcome.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_the_wait(tenant: Tenant, number: signal.Signals) -> None:
    tenant.register("rival")
    tenant.lease("rival", CONTACT)
    with start_cli(*RUN, "--wait", "60", "--", "echo", "ran", **tenant.variables) as command:
        wait_until(lambda: tenant.events("LeaseConflicted"))

        command.send_signal(number)

        assert command.wait()[:2] == (128 + number, "")


# -- Lost lease ------------------------------------------------------------------


def test_lost_lease_terminates_the_program(tenant: Tenant) -> None:
    with start_cli(*RUN, "--", "sh", "-c", ENDING_ON_SIGTERM, **tenant.variables) as command:
        assert command.read_line() == "ready"
        (lease,) = tenant.leases()

        tenant.release(lease["id"])

        outcome = command.wait()
    assert outcome.code == 3
    assert float(outcome.stdout) > 0  # It got SIGTERM in time.
    expected = (
        f"Error: The lease on {CONTACT} was lost (released), and the command was terminated.\n"
    )
    assert outcome.stderr.endswith(expected)


def test_program_that_ignores_sigterm_is_killed_with_its_children(tenant: Tenant) -> None:
    words = (*RUN, "--kill-after", "0.2", "--", "sh", "-c", IGNORING_SIGTERM)
    with start_cli(*words, **tenant.variables) as command:
        pids = [int(command.read_line()), int(command.read_line())]
        (lease,) = tenant.leases()
        assert not any(map(has_exited, pids))

        tenant.release(lease["id"])

        assert command.wait().code == 3
    wait_until(lambda: all(map(has_exited, pids)))


@on_linux
@pytest.mark.parametrize("leave", ["setsid", "timeout 300"])
def test_descendants_in_other_groups_are_gone_when_the_lease_is_lost(
    tenant: Tenant, leave: str
) -> None:
    """``timeout`` makes a process group, and ``setsid`` a session. The parent of both is gone."""
    script = f"({leave} sh -c 'trap \"\" TERM; echo $$; while :; do sleep 1; done' &); sleep 300"
    words = (*RUN, "--kill-after", "0.2", "--", "sh", "-c", script)
    with start_cli(*words, **tenant.variables) as command:
        pid = int(command.read_line())
        (lease,) = tenant.leases()
        assert os.getpgid(pid) != os.getpgid(command.process.pid)

        tenant.release(lease["id"])

        assert command.wait().code == 3
        assert has_exited(pid)


@on_linux
def test_descendants_are_gone_before_the_lease_is_released(tenant: Tenant) -> None:
    with start_cli(*RUN, "--", "sh", "-c", "setsid sleep 300 & echo $!", **tenant.variables) as run:
        pid = int(run.read_line())

        assert run.wait().code == 0
        assert has_exited(pid)
    assert tenant.leases() == []


def test_program_ends_before_the_lease_when_renewals_fail(
    tmp_path: Path,
) -> None:
    service = ServiceProcess(tmp_path / "data").start()
    try:
        tenant = Tenant(service, "silent")
        words = (*RUN, "--duration", "0.15", "--", "sh", "-c", ENDING_ON_SIGTERM)  # 9 s
        with start_cli(*words, **tenant.variables) as command:
            assert command.read_line() == "ready"
            ended_at = _ended_without(service, command)
            assert command.wait().code == 3
        granted = tenant.events("LeaseRenewed") or tenant.events("LeaseAcquired")
        lease_ends_at = datetime.fromisoformat(granted[-1]["data"]["expiresAt"]).timestamp()
        assert ended_at < lease_ends_at - TIME_TO_END_SECONDS_MIN
        tenant.close()
    finally:
        service.end()


def _ended_without(service: ServiceProcess, command: CliProcess) -> float:
    """Return the time of SIGTERM while the service does not respond."""
    os.kill(service.pid, signal.SIGSTOP)
    try:
        return float(command.read_line())
    finally:
        os.kill(service.pid, signal.SIGCONT)


# -- Signals ---------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_are_forwarded_to_the_program(tenant: Tenant, number: signal.Signals) -> None:
    name = number.name.removeprefix("SIG")
    script = f"trap 'echo {name}; exit 9' {name}; echo ready; while :; do sleep 0.02; done"
    with start_cli(*RUN, "--", "sh", "-c", script, **tenant.variables) as command:
        assert command.read_line() == "ready"

        command.send_signal(number)

        assert command.wait()[:2] == (9, f"{name}\n")
    assert tenant.leases() == []


def test_signals_that_are_ignored_at_the_start_stay_ignored(
    tenant: Tenant,
) -> None:
    """``nohup`` ignores SIGHUP for its command."""
    previous = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with start_cli(*RUN, *UNTIL_INPUT, **tenant.variables) as command:
            signal.signal(signal.SIGHUP, previous)
            assert command.read_line() == "ready"

            command.send_signal(signal.SIGHUP)
            command.write("end\n")

            assert command.wait()[:2] == (0, "ended\n")
    finally:
        signal.signal(signal.SIGHUP, previous)


def test_suspended_program_continues_while_the_lease_is_held(tenant: Tenant) -> None:
    with start_cli(*RUN, *WAITING, **tenant.variables) as command:
        pid = int(command.read_line())
        command.send_signal(signal.SIGTSTP)
        wait_until(lambda: is_stopped(command.process.pid) and is_stopped(pid))

        command.send_signal(signal.SIGCONT)
        command.write("end\n")

        assert command.wait() == (0, "continued\n", "")


def test_suspended_program_does_not_continue_after_its_lease(tenant: Tenant) -> None:
    with start_cli(*RUN, "--duration", "0.05", *WAITING, **tenant.variables) as command:  # 3 s
        pid = int(command.read_line())
        command.send_signal(signal.SIGTSTP)
        wait_until(lambda: is_stopped(command.process.pid))
        command.write("end\n")
        wait_until(lambda: tenant.events("LeaseExpired"))
        assert is_stopped(pid)

        command.send_signal(signal.SIGCONT)

        assert command.wait()[:2] == (3, "got SIGTERM\n")


@on_linux
def test_program_and_its_descendants_die_with_quorate(tenant: Tenant) -> None:
    script = "setsid sh -c 'trap \"\" TERM; echo $$; sleep 300' & echo $$; exec sleep 300"
    with start_cli(*RUN, "--", "sh", "-c", script, **tenant.variables) as command:
        pids = [int(command.read_line()), int(command.read_line())]
        assert not any(map(has_exited, pids))

        command.send_signal(signal.SIGKILL)

        wait_until(lambda: all(map(has_exited, pids)))


@on_linux
def test_suspension_reaches_descendants_in_other_sessions(tenant: Tenant) -> None:
    script = "setsid sh -c 'echo $$; sleep 300' & wait"
    with start_cli(*RUN, "--", "sh", "-c", script, **tenant.variables) as command:
        pid = int(command.read_line())

        command.send_signal(signal.SIGTSTP)

        wait_until(lambda: is_stopped(command.process.pid) and is_stopped(pid))
        command.send_signal(signal.SIGCONT)
        wait_until(lambda: not is_stopped(pid))
        command.send_signal(signal.SIGTERM)
        assert command.wait().code == 128 + signal.SIGTERM


# -- Usage errors ----------------------------------------------------------------


def test_lease_run_requires_an_acting_agent(tenant: Tenant) -> None:
    outcome = run_cli("lease", "run", CONTACT, "--", "echo", "ran", **tenant.variables)

    assert outcome.code in {1, 2, 5}
    assert outcome.stdout == ""
    assert "agent" in outcome.stderr


def test_agent_key_identifies_the_acting_agent(tenant: Tenant) -> None:
    key = tenant.issue("agent", "own")
    variables = tenant.variables | {"QUORATE_API_KEY": key}

    outcome = run_cli("lease", "run", CONTACT, "--", "printenv", "QUORATE_AGENT_ID", **variables)

    assert outcome.code == 0, outcome.stderr
    (event,) = tenant.events("LeaseAcquired")
    assert outcome.stdout.strip() == event["data"]["agentId"]


def test_rejected_key_is_reported(tenant: Tenant) -> None:
    variables = tenant.variables | {"QUORATE_API_KEY": tenant.issue("auditor")}

    assert run_cli(*RUN, "--", "true", **variables).code == 4


def test_unreachable_service_is_reported(tenant: Tenant) -> None:
    variables = tenant.variables | {"QUORATE_URL": "http://127.0.0.1:1"}

    outcome = run_cli(*RUN, "--", "true", **variables)

    assert outcome.code == 6
    assert "does not answer" in outcome.stderr
