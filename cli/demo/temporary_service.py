"""A service of one's own for a while: started in a folder of its own, ended and cleared away.

* It is ready when it says so; a service that does not get there in time is ended, and what it
  said last is told.
* Nothing that is set in the environment for another service reaches it.
* It never outlives whoever started it (on Linux), however that one ends; the folder it leaves
  behind then lies among the system's other temporary files.
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
_OURS = "QUORATE_"


@record
class TemporaryService:
    url: str
    nats_url: str
    api_key: str


@asynccontextmanager
async def temporary_service(*, window_seconds: float) -> AsyncIterator[TemporaryService]:
    """A running service, with nothing in its log but its beginning; raises Failure."""
    with tempfile.TemporaryDirectory(prefix="quorate-") as folder:
        data_dir = Path(folder, "data")
        said = Path(folder, "stderr")
        program = await _started(data_dir, said, window_seconds)
        try:
            await _ready(program, said)
            yield _credentials(data_dir)
        finally:
            await program.stop(STOP_SECONDS_MAX)


async def _started(data_dir: Path, said: Path, window_seconds: float) -> Program:
    # -P: a folder that happens to be called like a module of ours is not looked into.
    command = (
        *(sys.executable, "-P", "-m", "quorate.cli.main", "serve"),
        *("--data-dir", str(data_dir), "--port", "0", "--nats-port", "0"),
        *("--heartbeat-window-seconds", str(window_seconds), "--log-level", "warning"),
    )
    with said.open("wb") as stderr:
        return await Program.start(
            command,
            _environment(os.environ),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=stderr,
        )


def _environment(ours: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in ours.items() if not name.startswith(_OURS)}


async def _ready(program: Program, said: Path) -> None:
    try:
        async with asyncio.timeout(START_SECONDS_MAX):
            while line := await program.line():
                if READY in line:
                    return
    except TimeoutError:
        why, code = f"it was not ready within {START_SECONDS_MAX:.0f} s", UNAVAILABLE
    else:
        why, code = _last_words(said), ERROR
    raise Failure(f"A temporary service could not be started: {why}", code)


def _last_words(said: Path) -> str:
    lines = said.read_text("utf-8", errors="replace").strip().splitlines()
    return lines[-1].removeprefix("Error: ") if lines else "it ended"


def _credentials(data_dir: Path) -> TemporaryService:
    found = json.loads((data_dir / CREDENTIALS).read_text("utf-8"))
    return TemporaryService(url=found["url"], nats_url=found["natsUrl"], api_key=found["apiKey"])
