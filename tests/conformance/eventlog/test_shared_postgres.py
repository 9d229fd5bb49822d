"""The PostgreSQL that the tests share ends with the test process, even if that is killed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from quorate.bench.postgres import find_programs
from tests.e2e.cli.cli_process import has_exited, wait_until
from tests.support.paths import ROOT

pytestmark = [
    pytest.mark.skipif(find_programs() is None, reason="PostgreSQL is not installed"),
    pytest.mark.skipif(sys.platform != "linux", reason="needs Linux"),
]
# A test process: it starts the server, prints its process id and its folder, and waits.
TEST_PROCESS = """
import time
from tests.support.postgres import shared
server = shared()
pid = (server.folder / "postmaster.pid").read_text().splitlines()[0]
print(pid, server.folder.parent, flush=True)
time.sleep(600)
"""


def test_server_and_folder_are_removed_when_the_test_process_is_killed() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", TEST_PROCESS],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": os.pathsep.join((str(ROOT / "src"), str(ROOT)))},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        pid, folder = process.stdout.readline().split()
        assert Path(folder).is_dir()
        assert not has_exited(int(pid))

        process.kill()

    wait_until(lambda: has_exited(int(pid)) and not Path(folder).exists())
