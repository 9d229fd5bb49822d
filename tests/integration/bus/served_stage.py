"""The NATS service with operations that echo their commands, and agents that send commands."""

import asyncio
from collections.abc import Awaitable, Collection
from contextvars import copy_context
from pathlib import Path
from typing import Any

from nats.aio.msg import Msg

from quorate.bus import subjects
from quorate.bus.command_tasks import CommandRequest, CommandResponse
from quorate.bus.connection import Connection
from quorate.bus.subjects import CommandSubject
from quorate.contracts.operations import AnyOperation, Operation
from quorate.domain.identity.principals import Principal
from tests.integration.bus.stage import ANN, TENANT, WAIT_SECONDS_MAX, Listener, Stage

BUSY = b"busy"
FAILED = b"failed"
URGENT = "hold"
DECLARED = ("repeat", URGENT, "heartbeat")


class Desk:
    """Operations that echo the request, at once or when released."""

    def __init__(self) -> None:
        self.endpoints: list[AnyOperation] = [
            Operation(method="POST", path="/", name=name, summary=name) for name in DECLARED
        ]
        self.requests: list[CommandRequest] = []
        self.context = copy_context()  # Of the last command's task.
        self.free = asyncio.Event()
        self.free.set()

    def handle(self, requests: CommandRequest) -> Awaitable[CommandResponse]:
        self.requests.append(requests)
        return self._answer(requests)

    async def _answer(self, requests: CommandRequest) -> CommandResponse:
        self.context = copy_context()
        await self.free.wait()
        headers = {"Operation": requests.sender.operation, "Agent": requests.sender.agent_id}
        return CommandResponse(body=requests.body, headers=headers)

    def is_urgent(self, who: CommandSubject) -> bool:
        return who.operation == URGENT

    def reject(self, requests: CommandRequest) -> CommandResponse:
        return CommandResponse(body=BUSY, headers={"Agent": requests.sender.agent_id})

    def fail(self, _request: CommandRequest, error: Exception) -> CommandResponse:
        return CommandResponse(body=FAILED, headers={"Error": str(error)})


class ServedStage(Stage):
    """The NATS service with operations that respond to commands."""

    def __init__(self, folder: Path, *, fast_lane: Collection[str] = (), **more: Any) -> None:  # noqa: ANN401 - as Stage has them.
        self.desk = Desk()
        self._fast_lane = fast_lane
        super().__init__(folder, **more)

    def create_nats_service(self) -> Any:  # noqa: ANN401 - as Stage has it.
        nats_service = super().create_nats_service()
        nats_service.serve_commands(self.desk, fast_lane=self._fast_lane)
        return nats_service

    def connection(self) -> Connection | None:
        """The connection that receives commands."""
        assert self.nats_service._commands is not None
        return self.nats_service._commands.connection

    async def asker(self, agent: str = ANN, tenant: str = TENANT) -> "Asker":
        return Asker(await self._connected(self.keys.issue("agent", tenant, agent)), tenant, agent)

    async def _connected(self, key: Principal) -> Listener:
        listener = self.new_listener()
        prefix = subjects.inbox_prefix(key)
        await listener.connect(
            self.nats_service.url, key.key_id, inbox_prefix=prefix, reconnects=True
        )
        return listener


class Asker:
    """Connect an agent that sends commands."""

    def __init__(self, listener: Listener, tenant: str, agent: str) -> None:
        self.listener = listener
        self.client = listener.client
        self._subject = f"quorate.{tenant}.cmd.{agent}."

    async def ask(
        self,
        body: bytes,
        operation: str = "repeat",
        *,
        seconds: float = WAIT_SECONDS_MAX,
        **headers: str,
    ) -> Msg:
        subject = self._subject + operation
        return await self.client.request(subject, body, timeout=seconds, headers=headers or None)

    async def say(self, body: bytes, reply: str = "") -> None:
        await self.client.publish(self._subject + "repeat", body, reply=reply)
