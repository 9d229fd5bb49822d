"""Agents that do whatever comes to their minds, and write down every answer before they go on.

Each command has an idempotency key. What was not answered is asked again with the same key, for as
long as it takes: so in the end every command was answered, and happened once.
"""

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable, Mapping
from itertools import count
from pathlib import Path
from typing import Any, TypeAlias

import orjson

from quorate.domain.shared.records import record
from tests.chaos.crash.raw_http import ANSWER_SECONDS_MAX, Answer, Asking, Unknown

Json: TypeAlias = dict[str, Any]

CLIENTS = 32
CONTACTS = 48
REQUESTS_OPEN_MAX = 6
RETRY_SECONDS = 0.01
SHORT_MINUTES, LONG_MINUTES = 1 / 60, 30
UNAVAILABLE = 503
AGENT, COORDINATION = "/v1/agent", "/v1/agent/coordination"
# How often each is done, of a hundred.
HABITS = {"acquire": 46, "release": 22, "heartbeat": 8, "register": 4, "propose": 6, "vote": 14}


@record
class Asked:
    what: str
    method: str
    path: str
    body: Mapping[str, Any] | None
    key: str


@record
class Acknowledged:
    """What was asked, and what was answered: one line of a client's file."""

    agent: str
    what: str
    path: str
    asked: Json
    status: int
    sequence: int
    answer: Any
    asked_at: float = 0.0  # For the first time; by the clients' own clock.
    answered_at: float = 0.0


class Crowd:
    """What the clients share: where the service is, which requests are open, when to go home."""

    pause_seconds = 0.0  # Of a client, before it asks for the next thing.
    answer_seconds_max = ANSWER_SECONDS_MAX

    def __init__(self, folder: Path, api_key: str, seed: int, *, clients: int = CLIENTS) -> None:
        self.folder = folder
        self.api_key = api_key
        self.url = ""
        self.open_requests: deque[str] = deque(maxlen=REQUESTS_OPEN_MAX)
        self.going_home = False
        self.answered = asyncio.Event()  # Somebody got an answer since this was cleared.
        self._clients = [Client(self, number, seed) for number in range(clients)]

    def where(self, client: int, attempt: int) -> str:
        """Whom a client asks, for the first time or again."""
        del client, attempt
        return self.url

    async def work(self) -> None:
        """Until they are sent home; each finishes what it asked for."""
        async with asyncio.TaskGroup() as group:
            for client in self._clients:
                group.create_task(client.work())

    def acknowledged(self) -> list[Acknowledged]:
        """All answers there were, read from the clients' files."""
        lines = [
            line
            for path in sorted(self.folder.glob("client-*.jsonl"))
            for line in path.read_bytes().splitlines()
        ]
        return [Acknowledged(**orjson.loads(line)) for line in lines]


class Client:
    """One agent, on one connection, one command after the other."""

    def __init__(self, crowd: Crowd, number: int, seed: int) -> None:
        self._crowd = crowd
        self._number = number
        self._chance = random.Random(f"{seed} {number}")
        self._name = f"agent{number:02}"
        self._leases: list[str] = []
        self._asking = Asking(crowd.api_key, crowd.answer_seconds_max)
        self._count = 0
        self._next = "register"
        self._file = crowd.folder / f"client-{number:02}.jsonl"
        self._does: dict[str, Callable[[], Asked]] = {
            "acquire": self._acquire,
            "release": self._release,
            "heartbeat": self._heartbeat,
            "register": self._register,
            "propose": self._propose,
            "vote": self._vote,
        }

    async def work(self) -> None:
        with self._file.open("ab", buffering=0) as file:
            while not self._crowd.going_home:
                asked = self._does[self._next]()
                began = time.monotonic()
                answer = await self._answered(asked)
                file.write(self._line(asked, answer, began))
                self._crowd.answered.set()
                self._learn(asked, answer)
                await asyncio.sleep(self._crowd.pause_seconds)
        self._asking.close()

    async def _answered(self, asked: Asked) -> Answer:
        """Ask until there is an answer; where the service is may change meanwhile."""
        for attempt in count():
            where = self._crowd.where(self._number, attempt)
            try:
                answer = await self._asking.ask(
                    where, asked.method, asked.path, asked.body, asked.key
                )
            except Unknown:
                await asyncio.sleep(RETRY_SECONDS)
            else:
                if answer.status != UNAVAILABLE:
                    return answer
                await asyncio.sleep(RETRY_SECONDS)
        raise AssertionError("nobody gives up")

    def _line(self, asked: Asked, answer: Answer, began: float) -> bytes:
        return orjson.dumps(
            {
                "agent": self._name,
                "what": asked.what,
                "path": asked.path,
                "asked": asked.body or {},
                "status": answer.status,
                "sequence": answer.sequence,
                "answer": answer.body,
                "asked_at": began,
                "answered_at": time.monotonic(),
            },
            option=orjson.OPT_APPEND_NEWLINE,
        )

    def _learn(self, asked: Asked, answer: Answer) -> None:
        self._next = self._chance.choices([*HABITS], [*HABITS.values()])[0]
        if answer.status == 200 and asked.what == "acquire":
            self._leases.append(answer.body["id"])
        elif answer.status == 200 and asked.what == "propose":
            self._crowd.open_requests.append(answer.body["id"])
        elif isinstance(answer.body, dict) and answer.body.get("code") == "agent_inactive":
            self._next = "heartbeat"
        if self._next == "release" and not self._leases:
            self._next = "acquire"
        if self._next == "vote" and not self._crowd.open_requests:
            self._next = "propose"

    # -- What it may ask for ---------------------------------------------------

    def _asked(self, what: str, path: str, method: str = "POST", **body: Any) -> Asked:  # noqa: ANN401
        self._count += 1
        key = f"{self._name}-{self._count}"
        return Asked(what=what, method=method, path=path, body=body or None, key=key)

    def _acquire(self) -> Asked:
        return self._asked(
            "acquire",
            f"{COORDINATION}/lease",
            agentName=self._name,
            contactEmail=f"C{self._chance.randrange(CONTACTS)}@example.com",
            durationMinutes=self._chance.choice([SHORT_MINUTES, LONG_MINUTES]),
        )

    def _release(self) -> Asked:
        """One of its latest, again now and then: twice is the same as once."""
        lease = self._chance.choice(self._leases[-3:])
        return self._asked("release", f"{COORDINATION}/lease/{lease}", "DELETE")

    def _heartbeat(self) -> Asked:
        return self._asked("heartbeat", f"{COORDINATION}/heartbeat", agentName=self._name)

    def _register(self) -> Asked:
        return self._asked(
            "register", f"{AGENT}/register", agentName=self._name, agentRole=f"role {self._count}"
        )

    def _propose(self) -> Asked:
        return self._asked(
            "propose",
            f"{COORDINATION}/consensus",
            proposerAgent=self._name,
            action="merge",
            contactEmail="kim@example.com",
            reason="load",
            timeoutMinutes=self._chance.choice([SHORT_MINUTES, LONG_MINUTES]),
        )

    def _vote(self) -> Asked:
        request = self._chance.choice(self._crowd.open_requests)
        return self._asked(
            "vote",
            f"{COORDINATION}/consensus/{request}/vote",
            agentName=self._name,
            vote=self._chance.choice(["approve", "approve", "reject"]),
        )
