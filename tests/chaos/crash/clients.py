"""Clients that send random commands and journal every response before they continue.

Each command has an idempotency key. A command without a response is repeated with the same key
until it has one. At the end, every command has a response and was executed once.
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
from tests.chaos.crash.raw_http import RESPONSE_SECONDS_MAX, Connection, NoResponse, Response

Json: TypeAlias = dict[str, Any]

CLIENTS = 32
CONTACTS = 48
PROPOSALS_OPEN_MAX = 6
RETRY_SECONDS = 0.01
SHORT_MINUTES, LONG_MINUTES = 1 / 60, 30
HOLDERS = (None, None, None, "first", "second")
UNAVAILABLE = 503
AGENT, COORDINATION = "/v1/agent", "/v1/agent/coordination"
# The share of each operation, in percent.
SHARES = {"acquire": 46, "release": 22, "heartbeat": 8, "register": 4, "propose": 6, "vote": 14}


@record
class Request:
    operation: str
    method: str
    path: str
    body: Mapping[str, Any] | None
    key: str


@record
class AcknowledgedCommand:
    """A request and its response: one line of the journal of a client."""

    agent: str
    operation: str
    path: str
    body: Json
    status: int
    sequence: int
    response: Any
    requested_at: float = 0.0  # The first attempt, by the clock of the clients.
    responded_at: float = 0.0


class ClientPool:
    """The state that the clients share: address of the service, open proposals, stop flag."""

    pause_seconds = 0.0  # The pause of a client after each command.
    response_seconds_max = RESPONSE_SECONDS_MAX

    def __init__(self, directory: Path, api_key: str, seed: int, *, clients: int = CLIENTS) -> None:
        self.directory = directory
        self.api_key = api_key
        self.url = ""
        self.open_proposals: deque[str] = deque(maxlen=PROPOSALS_OPEN_MAX)
        self.stopping = False
        self.responded = asyncio.Event()  # A client got a response since this was cleared.
        self._clients = [Client(self, number, seed) for number in range(clients)]

    def address(self, client: int, attempt: int) -> str:
        """Return the address for an attempt of a client."""
        del client, attempt
        return self.url

    async def work(self) -> None:
        """Run the clients until they are stopped; each completes its current command."""
        async with asyncio.TaskGroup() as group:
            for client in self._clients:
                group.create_task(client.work())

    def acknowledged(self) -> list[AcknowledgedCommand]:
        """Return all acknowledged commands from the journals of the clients."""
        lines = [
            line
            for path in sorted(self.directory.glob("client-*.jsonl"))
            for line in path.read_bytes().splitlines()
        ]
        return [AcknowledgedCommand(**orjson.loads(line)) for line in lines]


class Client:
    """One agent on one connection; it sends one command after the other."""

    def __init__(self, pool: ClientPool, number: int, seed: int) -> None:
        self._pool = pool
        self._number = number
        self._random = random.Random(f"{seed} {number}")
        self._name = f"agent{number:02}"
        self._leases: list[str] = []
        self._connection = Connection(pool.api_key, pool.response_seconds_max)
        self._count = 0
        self._next = "register"
        self._file = pool.directory / f"client-{number:02}.jsonl"
        self._commands: dict[str, Callable[[], Request]] = {
            "acquire": self._acquire,
            "release": self._release,
            "heartbeat": self._heartbeat,
            "register": self._register,
            "propose": self._propose,
            "vote": self._vote,
        }

    async def work(self) -> None:
        with self._file.open("ab", buffering=0) as file:
            while not self._pool.stopping:
                request = self._commands[self._next]()
                requested_at = time.monotonic()
                response = await self._send(request)
                file.write(self._journal_line(request, response, requested_at))
                self._pool.responded.set()
                self._update(request, response)
                await asyncio.sleep(self._pool.pause_seconds)
        self._connection.close()

    async def _send(self, request: Request) -> Response:
        """Repeat the request until a response arrives; the address may change meanwhile."""
        for attempt in count():
            address = self._pool.address(self._number, attempt)
            try:
                response = await self._connection.request(
                    address, request.method, request.path, request.body, request.key
                )
            except NoResponse:
                await asyncio.sleep(RETRY_SECONDS)
            else:
                if response.status != UNAVAILABLE:
                    return response
                await asyncio.sleep(RETRY_SECONDS)
        raise AssertionError("a client never gives up")

    def _journal_line(self, request: Request, response: Response, requested_at: float) -> bytes:
        return orjson.dumps(
            {
                "agent": self._name,
                "operation": request.operation,
                "path": request.path,
                "body": request.body or {},
                "status": response.status,
                "sequence": response.sequence,
                "response": response.body,
                "requested_at": requested_at,
                "responded_at": time.monotonic(),
            },
            option=orjson.OPT_APPEND_NEWLINE,
        )

    def _update(self, request: Request, response: Response) -> None:
        self._next = self._random.choices([*SHARES], [*SHARES.values()])[0]
        if response.status == 200 and request.operation == "acquire":
            self._leases.append(response.body["id"])
        elif response.status == 200 and request.operation == "propose":
            self._pool.open_proposals.append(response.body["id"])
        elif isinstance(response.body, dict) and response.body.get("code") == "agent_inactive":
            self._next = "heartbeat"
        if self._next == "release" and not self._leases:
            self._next = "acquire"
        if self._next == "vote" and not self._pool.open_proposals:
            self._next = "propose"

    # -- Commands --------------------------------------------------------------

    def _request(self, operation: str, path: str, method: str = "POST", **body: Any) -> Request:  # noqa: ANN401
        self._count += 1
        key = f"{self._name}-{self._count}"
        return Request(operation=operation, method=method, path=path, body=body or None, key=key)

    def _acquire(self) -> Request:
        """Acquire as one of the instances of the agent; most requests name none."""
        holder = self._random.choice(HOLDERS)
        return self._request(
            "acquire",
            f"{COORDINATION}/lease",
            **({} if holder is None else {"holder": holder}),
            agentName=self._name,
            contactEmail=f"C{self._random.randrange(CONTACTS)}@example.com",
            durationMinutes=self._random.choice([SHORT_MINUTES, LONG_MINUTES]),
        )

    def _release(self) -> Request:
        """Release one of the latest leases, sometimes twice: the second has no effect."""
        lease = self._random.choice(self._leases[-3:])
        return self._request("release", f"{COORDINATION}/lease/{lease}", "DELETE")

    def _heartbeat(self) -> Request:
        return self._request("heartbeat", f"{COORDINATION}/heartbeat", agentName=self._name)

    def _register(self) -> Request:
        return self._request(
            "register", f"{AGENT}/register", agentName=self._name, agentRole=f"role {self._count}"
        )

    def _propose(self) -> Request:
        return self._request(
            "propose",
            f"{COORDINATION}/consensus",
            proposerAgent=self._name,
            action="merge",
            contactEmail="kim@example.com",
            reason="load",
            timeoutMinutes=self._random.choice([SHORT_MINUTES, LONG_MINUTES]),
        )

    def _vote(self) -> Request:
        proposal = self._random.choice(self._pool.open_proposals)
        return self._request(
            "vote",
            f"{COORDINATION}/consensus/{proposal}/vote",
            agentName=self._name,
            vote=self._random.choice(["approve", "approve", "reject"]),
        )
