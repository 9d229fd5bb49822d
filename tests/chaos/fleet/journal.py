"""The journal of an agent in the fleet: timestamped entries by the clock of the machine.

* The timestamp is CLOCK_BOOTTIME in nanoseconds. It is the same for every process and advances
  while a process is stopped.
* An agent takes the timestamp before it checks its local validity, and after it receives a grant.
  An entry therefore never claims more than the agent could have known.
* An entry is one line, written at once before the agent continues. The last line of a killed agent
  may be incomplete; it is ignored.
"""

import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal, TypeAlias

import orjson

from quorate.domain.shared.records import record

SUFFIX = ".journal"
NANOSECONDS_PER_SECOND = 1_000_000_000
EndReason: TypeAlias = Literal["released", "lost"]


def now() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


@record
class Connected:
    """The agent is connected and will receive the notifications after ``after``."""

    at: int
    agent: str
    agent_id: str
    incarnation: int
    after: int


@record
class Acquired:
    at: int
    agent: str
    lease: str
    contact: str
    fence: int


@record
class ReliedOn:
    """The agent relied on its lease at ``at``, and would have done so until ``until``."""

    at: int
    agent: str
    lease: str
    until: int


@record
class Ended:
    """The agent stopped relying on the lease; ``lost`` if the SDK reported the loss."""

    at: int
    agent: str
    lease: str
    reason: EndReason


@record
class Sent:
    """The decision of the send gate, and the fence of the lease for which the agent sent."""

    at: int
    agent: str
    contact: str
    fence: int
    send: str
    authorized: bool


@record
class Received:
    at: int
    agent: str
    sequence: int
    name: str
    data: Mapping[str, Any]


@record
class Recovered:
    """After the faults, the agent acquired, used and released a contact in this time."""

    at: int
    agent: str
    seconds: float


@record
class Failed:
    """An error of the agent that no fault of the service may cause."""

    at: int
    agent: str
    error: str


Entry: TypeAlias = Connected | Acquired | ReliedOn | Ended | Sent | Received | Recovered | Failed
KINDS: Mapping[str, type[Entry]] = {
    kind.__name__: kind
    for kind in (Connected, Acquired, ReliedOn, Ended, Sent, Received, Recovered, Failed)
}


class Journal:
    """One agent's file; it survives the agent, and the next life of the agent writes on."""

    def __init__(self, directory: Path, agent: str) -> None:
        self.agent = agent
        self._file = (directory / f"{agent}{SUFFIX}").open("ab", buffering=0)

    def close(self) -> None:
        self._file.close()

    def write(self, entry: Entry) -> None:
        line = {"entry": type(entry).__name__, **asdict(entry)}
        self._file.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))


def read(directory: Path, agent: str) -> list[Entry]:
    """Return the entries of an agent so far; none if it has no journal."""
    path = directory / f"{agent}{SUFFIX}"
    if not path.exists():
        return []
    return [_entry(line) for line in path.read_bytes().split(b"\n")[:-1]]


def journals(directory: Path) -> dict[str, list[Entry]]:
    """Return the journals by agent name."""
    return {path.stem: read(directory, path.stem) for path in sorted(directory.glob(f"*{SUFFIX}"))}


def _entry(line: bytes) -> Entry:
    fields = orjson.loads(line)
    return KINDS[fields.pop("entry")](**fields)
