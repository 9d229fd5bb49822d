"""`quorate spawn` and `quorate worker`: tasks are handed over and done by programs."""

import json
import signal
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager

import pytest

from tests.e2e.cli.cli_process import (
    CliProcess,
    Tenant,
    has_exited,
    run_cli,
    start_cli,
    wait_until,
)
from tests.e2e.cli.terminal import new_tenant_name
from tests.e2e.service.service_process import ServiceProcess

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="descendants are found on Linux")
LEAD = ("--agent-name", "lead")
WORKER = ("worker", "-", "--agent-name", "hand")
READ_TASK = "import json,sys;t=json.load(sys.stdin);"


@pytest.fixture
def tenant(real: ServiceProcess) -> Iterator[Tenant]:
    tenant = Tenant(real, new_tenant_name())
    tenant.register("lead")
    yield tenant
    tenant.close()


def output(tenant: Tenant, *words: str, code: int = 0) -> str:
    """Run a command that must end with this code; return its output."""
    outcome = run_cli(*words, **tenant.variables)
    assert outcome.code == code, outcome
    return outcome.stdout


def start_worker(tenant: Tenant, *command: str) -> AbstractContextManager[CliProcess]:
    return start_cli(*WORKER, "--kill-after", "1s", "--", *command, **tenant.variables)


def test_program_gets_the_task_and_prints_the_result(tenant: Tenant) -> None:
    program = READ_TASK + (
        "print('PROGRESS '+json.dumps({'percent':50,'message':'half'}));print(t['task'].upper())"
    )
    with start_worker(tenant, sys.executable, "-c", program):
        found = json.loads(output(tenant, "spawn", "run", "add up", *LEAD, "-o", "json"))
    assert (found["text"], found["percent"], found["message"]) == ("ADD UP", 50, "half")
    listed = output(tenant, "spawn", "list", *LEAD, "-q").split()
    assert listed == [found["task_id"]]


def test_exit_code_fails_the_task(tenant: Tenant) -> None:
    with start_worker(tenant, "sh", "-c", "exit 7"):
        done = output(tenant, "spawn", "run", "fail", *LEAD, "-o", "json", code=3)
    assert json.loads(done)["error"] == "exit code 7"


@on_linux
def test_cancelled_task_ends_the_program_and_its_descendants(tenant: Tenant) -> None:
    program = 'echo "PROGRESS {\\"message\\": \\"$$\\"}"; sleep 300 & wait'
    with start_worker(tenant, "sh", "-c", program):
        spawn = ("spawn", "run", "last", *LEAD, "--no-wait", "-q")
        task = output(tenant, *spawn).strip()
        pid = 0

        def has_started() -> bool:
            nonlocal pid
            shown = json.loads(output(tenant, "spawn", "status", task, *LEAD, "-o", "json"))
            pid = int(shown["message"] or 0)
            return pid > 0

        wait_until(has_started)
        output(tenant, "spawn", "cancel", task, *LEAD)
        wait_until(lambda: has_exited(pid))


def test_worker_ends_after_a_termination_signal(tenant: Tenant) -> None:
    with start_worker(tenant, "cat") as worker:
        output(tenant, "spawn", "run", "once", *LEAD)
        worker.send_signal(signal.SIGTERM)
        assert worker.wait().code == 0
