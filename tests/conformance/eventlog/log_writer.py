"""A process that writes to a log and prints the result of each command.

``python -m tests.conformance.eventlog.log_writer FOLDER COMMANDS`` runs on a failing disk, so that
acknowledged commands can be compared with the stored ones. Log events are printed in between.
"""

import asyncio
import sys
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import structlog

from quorate.eventlog import command_bus as bus_module
from quorate.eventlog.envelopes import Accepted, Unavailable
from tests.conformance.eventlog.conformance import Key, Sqlite, Stage
from tests.unit.support.scenario import register

ACKNOWLEDGED, UNKNOWN = "acknowledged", "unknown"


def say(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def _say_logged(
    _logger: object, _method: str, entry: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    say("logged", entry["event"])
    raise structlog.DropEvent


async def write(folder: Path, commands: int) -> None:
    bus_module.REOPEN_WAIT_SECONDS = 0.01
    stage = Stage(Sqlite(folder))
    await stage.open()
    say("opened")
    for number in range(commands):
        name = f"agent{number}"
        try:
            answer = await stage.submit(register(name), key=Key(key=name))
        except Unavailable:
            say(UNKNOWN, name)
        else:
            assert isinstance(answer, Accepted)
            say(ACKNOWLEDGED, name, answer.sequence)
    await stage.close()
    say("closed")


if __name__ == "__main__":
    structlog.configure(processors=[_say_logged])
    asyncio.run(write(Path(sys.argv[1]), int(sys.argv[2])))
