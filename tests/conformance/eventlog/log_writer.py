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
from tests.unit.support.sample_commands import register

ACKNOWLEDGED, UNKNOWN = "acknowledged", "unknown"


def print_line(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def print_log_event(
    _logger: object, _method: str, entry: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    print_line("logged", entry["event"])
    raise structlog.DropEvent


async def write(folder: Path, commands: int) -> None:
    bus_module.REOPEN_WAIT_SECONDS = 0.01
    stage = Stage(Sqlite(folder))
    await stage.open()
    print_line("opened")
    for number in range(commands):
        name = f"agent{number}"
        try:
            result = await stage.submit(register(name), key=Key(key=name))
        except Unavailable:
            print_line(UNKNOWN, name)
        else:
            assert isinstance(result, Accepted)
            print_line(ACKNOWLEDGED, name, result.sequence)
    await stage.close()
    print_line("closed")


if __name__ == "__main__":
    structlog.configure(processors=[print_log_event])
    asyncio.run(write(Path(sys.argv[1]), int(sys.argv[2])))
