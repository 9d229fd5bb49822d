"""A program that runs while a contact is held, and not a moment longer."""

import os
import signal
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from tests.e2e.cli.cli_process import (
    Started,
    Tenant,
    done,
    gone,
    started,
    stopped,
    until,
    without_key,
)
from tests.e2e.cli.terminal import new_tenant_name
from tests.e2e.service.service_process import Running

CONTACT = "user@example.com"
RUN = ("lease", "run", CONTACT, "--agent-name", "mailer")
# Says that it runs, and ends when it reads a line.
UNTIL_TOLD = ("--", "sh", "-c", "echo ready; read line; echo ended")
# Ends at once when it is asked to, and says when that was.
OBEDIENT = "trap 'date +%s.%N; exit 0' TERM; echo ready; while :; do sleep 0.02; done"
# Says who it is, and which came first: a line to read, or to be asked to end.
PATIENT = (
    *("--", "sh", "-c"),
    "trap 'echo asked to end; exit 0' TERM; echo $$; read line; echo went on",
)
# A program that is asked to end because nobody can be reached has at least so long.
TIME_TO_END_SECONDS_MIN = 1.0
# It and its child say who they are, and end when they are killed.
STUBBORN = "trap '' TERM; sh -c 'trap \"\" TERM; echo $$; exec sleep 300' & echo $$; wait; wait"


@pytest.fixture
def town(real: Running) -> Iterator[Tenant]:
    tenant = Tenant(real, new_tenant_name())
    yield tenant
    tenant.close()


def test_the_program_finds_the_lease_in_its_environment(town: Tenant) -> None:
    with started(*RUN, "--", "sh", "-c", "env; read line", **town.variables) as verb:
        found: dict[str, str] = {}
        while "QUORATE_LEASE_ID" not in found or "QUORATE_FENCE" not in found:
            name, _, value = verb.line().partition("=")
            found[name] = value
        (lease,) = town.leases()
        verb.reads("end\n")
        outcome = verb.ended()

    for line in outcome.stdout.splitlines():
        name, _, value = line.partition("=")
        found[name] = value
    assert found["QUORATE_LEASE_ID"] == lease["id"]
    assert found["QUORATE_FENCE"] == str(lease["fence"])
    assert found["QUORATE_CONTACT"] == CONTACT
    assert found["QUORATE_AGENT_ID"] == lease["agentId"]
    assert found["QUORATE_URL"] == town.service.url


def test_the_lease_is_given_back_when_the_program_ends(town: Tenant) -> None:
    with started(*RUN, *UNTIL_TOLD, **town.variables) as verb:
        assert verb.line() == "ready"
        held = town.leases()
        verb.reads("end\n")
        outcome = verb.ended()

    assert [lease["contactEmail"] for lease in held] == [CONTACT]
    assert outcome == (0, "ended\n", "")
    assert town.leases() == []
    assert len(town.events("LeaseReleased")) == 1


def test_a_key_that_was_an_option_does_not_reach_the_program(town: Tenant) -> None:
    words = (*RUN, "--api-key", town.key, "--", "env")

    assert town.key not in done(*words, **without_key(town.variables)).stdout
    assert town.key in done(*RUN, "--", "env", **town.variables).stdout


@pytest.mark.parametrize(("script", "code"), [("exit 7", 7), ("kill -9 $$", 137), ("true", 0)])
def test_the_exit_code_is_the_programs(town: Tenant, script: str, code: int) -> None:
    assert done(*RUN, "--", "sh", "-c", script, **town.variables).code == code


def test_a_program_that_does_not_exist_costs_no_lease(town: Tenant) -> None:
    before = town.head

    outcome = done(*RUN, "--", "no-such-program", **town.variables)

    assert outcome.code == 127
    assert outcome.stderr == "Error: There is no program 'no-such-program' that can be run.\n"
    assert town.head == before


def test_a_program_that_cannot_be_started_gives_the_lease_back(
    town: Tenant, tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    broken.write_text("#!/no/such/interpreter\n")
    broken.chmod(0o755)

    outcome = done(*RUN, "--", str(broken), **town.variables)

    assert outcome.code == 126
    assert "cannot be started" in outcome.stderr
    assert town.leases() == []


def test_the_agent_keeps_its_role(town: Tenant) -> None:
    body = {"agentName": "mailer", "agentRole": "outbound"}
    agent_id = town.asks("POST", "/v1/agent/register", body)["id"]

    done(*RUN, "--", "true", **town.variables)

    assert town.asks("GET", f"/v1/agent/agents/{agent_id}")["agentRole"] == "outbound"


# -- A contact that another agent holds --------------------------------------------


def test_a_held_contact_is_refused_at_once(town: Tenant) -> None:
    town.register("rival")
    lease = town.lease("rival", CONTACT)

    outcome = done(*RUN, "--", "echo", "ran", **town.variables)

    until_second = lease["expiresAt"][:19].replace("T", " ")
    assert outcome.code == 3
    assert outcome.stdout == ""
    assert f"{CONTACT} is held by rival until {until_second} UTC" in outcome.stderr
    assert "--wait" in outcome.stderr


def test_a_held_contact_can_be_waited_for(town: Tenant) -> None:
    town.register("rival")
    lease = town.lease("rival", CONTACT)
    with started(*RUN, "--wait", "60", "--", "echo", "ran", **town.variables) as verb:
        until(lambda: town.events("LeaseConflicted"))

        town.release(lease["id"])

        assert verb.ended() == (0, "ran\n", "")


def test_waiting_has_an_end(town: Tenant) -> None:
    town.register("rival")
    town.lease("rival", CONTACT)

    outcome = done(*RUN, "--wait", "0.2", "--", "echo", "ran", **town.variables)

    assert (outcome.code, outcome.stdout) == (3, "")
    assert "held by rival" in outcome.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_waiting(town: Tenant, number: signal.Signals) -> None:
    town.register("rival")
    town.lease("rival", CONTACT)
    with started(*RUN, "--wait", "60", "--", "echo", "ran", **town.variables) as verb:
        until(lambda: town.events("LeaseConflicted"))

        verb.sent(number)

        assert verb.ended()[:2] == (128 + number, "")


# -- A lease that is lost --------------------------------------------------------


def test_a_lost_lease_ends_the_program(town: Tenant) -> None:
    with started(*RUN, "--", "sh", "-c", OBEDIENT, **town.variables) as verb:
        assert verb.line() == "ready"
        (lease,) = town.leases()

        town.release(lease["id"])

        outcome = verb.ended()
    assert outcome.code == 3
    assert float(outcome.stdout) > 0  # It was asked, and had its time.
    told = f"Error: The lease on {CONTACT} is lost (released), and the command has ended.\n"
    assert outcome.stderr.endswith(told)


def test_a_program_that_does_not_end_is_killed_with_all_that_it_started(town: Tenant) -> None:
    words = (*RUN, "--kill-after", "0.2", "--", "sh", "-c", STUBBORN)
    with started(*words, **town.variables) as verb:
        pids = [int(verb.line()), int(verb.line())]
        (lease,) = town.leases()
        assert not any(map(gone, pids))

        town.release(lease["id"])

        assert verb.ended().code == 3
    until(lambda: all(map(gone, pids)))


def test_the_program_ends_before_the_lease_does_when_the_service_falls_silent(
    tmp_path: Path,
) -> None:
    service = Running(tmp_path / "data").start()
    try:
        tenant = Tenant(service, "silent")
        words = (*RUN, "--duration", "0.15", "--", "sh", "-c", OBEDIENT)  # 9 s
        with started(*words, **tenant.variables) as verb:
            assert verb.line() == "ready"
            ended_at = _ended_without(service, verb)
            assert verb.ended().code == 3
        granted = tenant.events("LeaseRenewed") or tenant.events("LeaseAcquired")
        lease_ends_at = datetime.fromisoformat(granted[-1]["data"]["expiresAt"]).timestamp()
        assert ended_at < lease_ends_at - TIME_TO_END_SECONDS_MIN
        tenant.close()
    finally:
        service.end()


def _ended_without(service: Running, verb: Started) -> float:
    """When the program was asked to end, while the service did not answer."""
    os.kill(service.pid, signal.SIGSTOP)
    try:
        return float(verb.line())
    finally:
        os.kill(service.pid, signal.SIGCONT)


# -- Signals ---------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_are_passed_on_to_the_program(town: Tenant, number: signal.Signals) -> None:
    name = number.name.removeprefix("SIG")
    script = f"trap 'echo {name}; exit 9' {name}; echo ready; while :; do sleep 0.02; done"
    with started(*RUN, "--", "sh", "-c", script, **town.variables) as verb:
        assert verb.line() == "ready"

        verb.sent(number)

        assert verb.ended()[:2] == (9, f"{name}\n")
    assert town.leases() == []


def test_who_is_stopped_and_continued_in_time_goes_on(town: Tenant) -> None:
    with started(*RUN, *PATIENT, **town.variables) as verb:
        pid = int(verb.line())
        verb.sent(signal.SIGTSTP)
        until(lambda: stopped(verb.process.pid) and stopped(pid))

        verb.sent(signal.SIGCONT)
        verb.reads("end\n")

        assert verb.ended() == (0, "went on\n", "")


def test_a_program_that_is_stopped_does_not_go_on_when_its_lease_is_over(town: Tenant) -> None:
    with started(*RUN, "--duration", "0.05", *PATIENT, **town.variables) as verb:  # 3 s
        pid = int(verb.line())
        verb.sent(signal.SIGTSTP)
        until(lambda: stopped(verb.process.pid))
        verb.reads("end\n")
        until(lambda: town.events("LeaseExpired"))
        assert stopped(pid)

        verb.sent(signal.SIGCONT)

        assert verb.ended()[:2] == (3, "asked to end\n")


def test_the_program_does_not_outlive_us(town: Tenant) -> None:
    with started(*RUN, "--", "sh", "-c", "echo $$; exec sleep 300", **town.variables) as verb:
        pid = int(verb.line())
        assert not gone(pid)

        verb.sent(signal.SIGKILL)

        until(lambda: gone(pid))


# -- Wrong use -------------------------------------------------------------------


def test_who_acts_must_be_known(town: Tenant) -> None:
    outcome = done("lease", "run", CONTACT, "--", "echo", "ran", **town.variables)

    assert outcome.code in {1, 2, 5}
    assert outcome.stdout == ""
    assert "agent" in outcome.stderr


def test_an_agents_own_key_says_who_acts(town: Tenant) -> None:
    key = town.issue("agent", "own")
    variables = town.variables | {"QUORATE_API_KEY": key}

    outcome = done("lease", "run", CONTACT, "--", "printenv", "QUORATE_AGENT_ID", **variables)

    assert outcome.code == 0, outcome.stderr
    (event,) = town.events("LeaseAcquired")
    assert outcome.stdout.strip() == event["data"]["agentId"]


def test_a_refused_key_is_told(town: Tenant) -> None:
    variables = town.variables | {"QUORATE_API_KEY": town.issue("auditor")}

    assert done(*RUN, "--", "true", **variables).code == 4


def test_nobody_there_is_told(town: Tenant) -> None:
    variables = town.variables | {"QUORATE_URL": "http://127.0.0.1:1"}

    outcome = done(*RUN, "--", "true", **variables)

    assert outcome.code == 6
    assert "does not answer" in outcome.stderr
