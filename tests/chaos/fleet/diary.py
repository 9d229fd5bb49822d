"""What an agent of the fleet writes down, when it happens, by the one clock of the machine.

* The stamp is CLOCK_BOOTTIME in nanoseconds: the same for every process, and it goes on while a
  process is stopped. What an agent believes is stamped before it is asked, what it was granted
  after it was answered: so a diary never says more than the agent could have known.
* An entry is one line, written in one piece before the agent goes on. The last line of an agent
  that was killed may be cut off; it is no entry.
"""

import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal, TypeAlias

import orjson

from quorate.domain.shared.records import record

SUFFIX = ".diary"
NANOSECONDS_PER_SECOND = 1_000_000_000
How: TypeAlias = Literal["let go", "lost"]


def now() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


@record
class Began:
    """It is connected, for the first time or again, and will hear what follows ``after``."""

    at: int
    agent: str
    agent_id: str
    incarnation: int
    after: int


@record
class Held:
    at: int
    agent: str
    lease: str
    contact: str
    fence: int


@record
class Relied:
    """It took the lease for its own at ``at``, and would have done so again before ``until``."""

    at: int
    agent: str
    lease: str
    until: int


@record
class Ended:
    """From ``at`` on it did not rely on the lease; ``lost`` when it was told that it must not."""

    at: int
    agent: str
    lease: str
    how: How


@record
class Sent:
    """What the send gate said, and the fence of the lease for which the agent sent."""

    at: int
    agent: str
    contact: str
    fence: int
    send: str
    authorized: bool


@record
class Heard:
    at: int
    agent: str
    sequence: int
    name: str
    data: Mapping[str, Any]


@record
class Recovered:
    """After the faults it held a contact of its own, sent, and let go, in so many seconds."""

    at: int
    agent: str
    seconds: float


@record
class Failed:
    """What should not happen to an agent, whatever happens to the service."""

    at: int
    agent: str
    what: str


Entry: TypeAlias = Began | Held | Relied | Ended | Sent | Heard | Recovered | Failed
KINDS: Mapping[str, type[Entry]] = {
    kind.__name__: kind for kind in (Began, Held, Relied, Ended, Sent, Heard, Recovered, Failed)
}


class Diary:
    """One agent's file; it survives the agent, and the next life of the agent writes on."""

    def __init__(self, folder: Path, agent: str) -> None:
        self.agent = agent
        self._file = (folder / f"{agent}{SUFFIX}").open("ab", buffering=0)

    def close(self) -> None:
        self._file.close()

    def write(self, entry: Entry) -> None:
        line = {"entry": type(entry).__name__, **asdict(entry)}
        self._file.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))


def read(folder: Path, agent: str) -> list[Entry]:
    """All that an agent has written by now; nothing if it never came to write."""
    path = folder / f"{agent}{SUFFIX}"
    if not path.exists():
        return []
    return [_entry(line) for line in path.read_bytes().split(b"\n")[:-1]]


def diaries(folder: Path) -> dict[str, list[Entry]]:
    """By the agents' names."""
    return {path.stem: read(folder, path.stem) for path in sorted(folder.glob(f"*{SUFFIX}"))}


def _entry(line: bytes) -> Entry:
    fields = orjson.loads(line)
    return KINDS[fields.pop("entry")](**fields)
