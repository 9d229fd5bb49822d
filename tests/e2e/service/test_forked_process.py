"""A forked `quorate` does what an executed one does."""

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import pytest

from quorate.runtime.process_lock import LOCK_FILE
from tests.e2e.cli.cli_process import has_exited, wait_until
from tests.e2e.service.service_process import READY_LINE, ServiceProcess, environment
from tests.support import forked_process
from tests.support.forked_process import ForkedProcess, fork_listener
from tests.support.paths import ROOT

pytestmark = pytest.mark.skipif(not forked_process.IS_SUPPORTED, reason="needs Linux")
END_SECONDS_MAX = 60.0
# A test process: it starts a service, prints the ids of the service and of the fork server, and
# waits to be killed.
TEST_PROCESS = """
import sys, time
from pathlib import Path
from tests.e2e.service.service_process import ServiceProcess
from tests.support import forked_process
service = ServiceProcess(Path(sys.argv[1])).start()
print(service.pid, forked_process._running[0]._process.pid, *service.nats_servers(), flush=True)
time.sleep(600)
"""


@pytest.fixture
def running(data_dir: Path) -> Iterator[ServiceProcess]:
    service = ServiceProcess(data_dir).start()
    try:
        yield service
    finally:
        service.kill()


def forked(words: Sequence[str], variables: dict[str, str], file: Path) -> tuple[int, bytes, bytes]:
    with file.open("wb") as stderr:
        process = ForkedProcess(words, variables, stderr.fileno())
    with process.stdout as output:
        return process.wait(END_SECONDS_MAX), output.read(), file.read_bytes()


@pytest.mark.parametrize(
    ("words", "variables"),
    [
        (["version"], {}),
        (["serve", "--port", "many"], {}),
        (["serve"], {"QUORATE_PORT": "many"}),
        (["no-such-command"], {}),
    ],
)
def test_output_and_exit_code_are_those_of_an_executed_program(
    words: list[str], variables: dict[str, str], tmp_path: Path
) -> None:
    variables = environment(**variables)
    command = [sys.executable, "-m", "quorate.cli.main", *words]
    executed = subprocess.run(command, env=variables, capture_output=True, check=False)

    found = forked(words, variables, tmp_path / "stderr")

    assert found == (executed.returncode, executed.stdout, executed.stderr)
    assert executed.stdout + executed.stderr


def test_process_is_a_child_of_the_test_in_its_own_session(running: ServiceProcess) -> None:
    stat = Path(f"/proc/{running.pid}/stat").read_text().rpartition(")")[2].split()

    assert int(stat[1]) == os.getpid()
    assert os.getsid(running.pid) == os.getpgid(running.pid) == running.pid


def test_waiting_ends_after_the_time_limit(running: ServiceProcess) -> None:
    assert isinstance(running._process, ForkedProcess)
    with pytest.raises(subprocess.TimeoutExpired):
        running._process.wait(0.01)
    assert running.is_running()


def test_killed_process_is_gone_and_its_signal_is_known(running: ServiceProcess) -> None:
    process, pid = running._process, running.pid
    running.kill()

    assert process is not None
    assert process.returncode == -signal.SIGKILL
    assert has_exited(pid)


def test_service_and_fork_server_end_with_a_killed_test_process(data_dir: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", TEST_PROCESS, str(data_dir)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": os.pathsep.join((str(ROOT / "src"), str(ROOT)))},
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        pids = [int(word) for word in process.stdout.readline().split()]
        assert len(pids) == 3
        assert not any(has_exited(pid) for pid in pids)

        process.kill()

    wait_until(lambda: all(has_exited(pid) for pid in pids))


# -- In shell scripts ----------------------------------------------------------


@pytest.fixture(scope="module")
def program() -> Iterator[list[str]]:
    with fork_listener() as program:
        yield shlex.split(program)


@pytest.mark.parametrize("words", [["version"], ["serve", "--port", "many"]])
def test_script_gets_the_output_and_exit_code_of_an_executed_program(
    program: list[str], words: list[str]
) -> None:
    run = partial(subprocess.run, env=environment(), capture_output=True, check=False)
    executed = run([sys.executable, "-m", "quorate.cli.main", *words])
    found = run([*program, *words])

    assert (found.returncode, found.stdout, found.stderr) == (
        executed.returncode,
        executed.stdout,
        executed.stderr,
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_program_of_a_script_ends_with_the_signal_to_its_client(
    program: list[str], number: signal.Signals, tmp_path: Path
) -> None:
    words = ["serve", "--port", "0", "--nats-port", "0", "--data-dir", str(tmp_path / "data")]
    with subprocess.Popen(
        [*program, *words], env=environment(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as client:
        assert client.stdout is not None
        while READY_LINE not in client.stdout.readline():
            assert client.poll() is None
        pid = int((tmp_path / "data" / LOCK_FILE).read_text())
        os.kill(client.pid, number)
        assert client.wait(END_SECONDS_MAX) == (0 if number == signal.SIGTERM else -number)
    wait_until(lambda: has_exited(pid))
