"""Start a temporary service in a temporary directory, and delete it afterwards.

* The service is used after it has printed that it is ready. If it is not ready in time, it is
  stopped and its last error is reported.
* It does not inherit QUORATE_ environment variables.
* On Linux it dies with this process. The directory that then remains is in the temporary directory
  of the system.
"""

import asyncio
import json
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from quorate.cli.connection.resolve import CREDENTIALS
from quorate.cli.lease_runner.subprocess import Program
from quorate.cli.output.errors import ERROR, UNAVAILABLE, Failure
from quorate.domain.shared.records import record

READY = "Quorate is running."
START_SECONDS_MAX = 30.0
STOP_SECONDS_MAX = 5.0
_ENVIRONMENT_PREFIX = "QUORATE_"


@record
class TemporaryService:
    url: str
    nats_url: str
    api_key: str


@asynccontextmanager
async def temporary_service(*, window_seconds: float) -> AsyncIterator[TemporaryService]:
    """Run a service with an empty log; raises Failure if it does not start."""
    with tempfile.TemporaryDirectory(prefix="quorate-") as directory:
        data_dir = Path(directory, "data")
        stderr_path = Path(directory, "stderr")
        program = await _start(data_dir, stderr_path, window_seconds)
        try:
            await _wait_until_ready(program, stderr_path)
            yield _read_credentials(data_dir)
        finally:
            await program.stop(STOP_SECONDS_MAX)


async def _start(data_dir: Path, stderr_path: Path, window_seconds: float) -> Program:
    # -P: a directory with the name of an imported module must not shadow it.
    command = (
        *(sys.executable, "-P", "-m", "quorate.cli.main", "serve"),
        *("--data-dir", str(data_dir), "--port", "0", "--nats-port", "0"),
        *("--heartbeat-window-seconds", str(window_seconds), "--log-level", "warning"),
    )
    with stderr_path.open("wb") as stderr:
        return await Program.start(
            command,
            _environment(os.environ),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=stderr,
        )


def _environment(inherited: Mapping[str, str]) -> dict[str, str]:
    return {
        name: value for name, value in inherited.items() if not name.startswith(_ENVIRONMENT_PREFIX)
    }


async def _wait_until_ready(program: Program, stderr_path: Path) -> None:
    try:
        async with asyncio.timeout(START_SECONDS_MAX):
            while line := await program.read_line():
                if READY in line:
                    return
    except TimeoutError:
        reason, code = f"it was not ready within {START_SECONDS_MAX:.0f} s", UNAVAILABLE
    else:
        reason, code = _last_error(stderr_path), ERROR
    raise Failure(f"Cannot start a temporary service: {reason}", code)


def _last_error(stderr_path: Path) -> str:
    lines = stderr_path.read_text("utf-8", errors="replace").strip().splitlines()
    return lines[-1].removeprefix("Error: ") if lines else "it exited without a message"


def _read_credentials(data_dir: Path) -> TemporaryService:
    found = json.loads((data_dir / CREDENTIALS).read_text("utf-8"))
    return TemporaryService(url=found["url"], nats_url=found["natsUrl"], api_key=found["apiKey"])
