"""Run wrk, an HTTP load generator that is written in C."""

import asyncio
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from quorate.domain.shared.records import record

CONNECTIONS = 64
SCRIPTS = Path(__file__).parent / "lua"
_RATE = re.compile(r"Requests/sec:\s+([\d.]+)")
_ERRORS = re.compile(r"Non-2xx or 3xx responses: (\d+)")
_TOTAL = re.compile(r"(\d+) requests in")
_P99 = re.compile(r"99%\s+([\d.]+)(us|ms|s)")
_MILLISECONDS = {"us": 0.001, "ms": 1.0, "s": 1000.0}


@record
class Load:
    """The result of a run. ``rate`` is requests per second, failed requests included."""

    rate: float
    failed: int
    total: int
    p99_milliseconds: float


def available() -> str | None:
    """Return None, or the reason why wrk is not available."""
    return None if shutil.which("wrk") else "wrk is not installed (Debian: apt-get install wrk)"


async def run(
    script: str,
    url: str,
    seconds: float,
    environment: Mapping[str, str] | None = None,
    connections: int = CONNECTIONS,
) -> Load:
    """Load ``url`` with a Lua script of this folder."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{round(seconds)}s", "--latency"]
    child = await asyncio.create_subprocess_exec(
        *command,
        "-s",
        str(SCRIPTS / script),
        url,
        stdout=asyncio.subprocess.PIPE,
        env=dict(environment or {}),
    )
    output, _ = await child.communicate()
    text = output.decode()
    rate, total, p99 = _RATE.search(text), _TOTAL.search(text), _P99.search(text)
    if rate is None or total is None or p99 is None:
        raise RuntimeError(f"wrk failed:\n{text}")
    errors = _ERRORS.search(text)
    return Load(
        rate=float(rate[1]),
        failed=int(errors[1]) if errors else 0,
        total=int(total[1]),
        p99_milliseconds=float(p99[1]) * _MILLISECONDS[p99[2]],
    )
