"""Start an agent of the demo as a separate process, so that it can be killed.

In the process of the demo, the SDK would release the lease or the task when the agent ends.
"""

import asyncio
import os
import sys

from quorate.cli.demo.script import DemoConfig
from quorate.cli.lease_runner.subprocess import Program

STOP_SECONDS_MAX = 1.0
_ENVIRONMENT_PREFIX = "QUORATE_"


async def start_agent_process(config: DemoConfig, *words: str) -> Program:
    """Start `quorate` with these arguments. Of the QUORATE_ variables it gets URL and key only."""
    return await Program.start(
        (sys.executable, "-P", "-m", "quorate.cli.main", *words),
        _environment(config),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )


def _environment(config: DemoConfig) -> dict[str, str]:
    others = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(_ENVIRONMENT_PREFIX)
    }
    return others | {"QUORATE_URL": config.url, "QUORATE_API_KEY": config.api_key}
