"""An agent that sends commands over NATS with its own key."""

import itertools
import json
from collections.abc import Mapping
from typing import Any

from nats.aio.msg import Msg

from quorate.bus.subjects import command, inbox_prefix
from quorate.domain.shared.records import record
from tests.e2e.service.http_clients import Agent
from tests.e2e.service.nats_listener import RECEIVE_SECONDS_MAX, Listener, wait_until
from tests.e2e.service.service_process import Json

STATUS, CODE = "Nats-Service-Error-Code", "Nats-Service-Error"
_NUMBERS = itertools.count(1)


@record
class NatsResponse:
    """A response. Its status equals that of the same response over HTTP."""

    status: int
    code: str | None
    headers: Mapping[str, str]
    content: bytes

    def json(self) -> Any:  # noqa: ANN401 - any JSON value.
        return json.loads(self.content)


def parse_response(message: Msg) -> NatsResponse:
    headers = dict(message.headers or {})
    return NatsResponse(
        status=int(headers.pop(STATUS, "200")),
        code=headers.pop(CODE, None),
        headers={name.lower(): value for name, value in headers.items()},
        content=message.data,
    )


class NatsAgent:
    """The NATS connection of one agent; it reconnects automatically."""

    def __init__(self, agent: Agent, listener: Listener) -> None:
        self.agent = agent
        self.listener = listener
        self.client = listener.client

    @classmethod
    async def of(cls, agent: Agent) -> "NatsAgent":
        return cls(agent, await agent.listen(reconnects=True))

    def subject(self, operation: str) -> str:
        return command(self.agent.issued.tenant, self.agent.id, operation)

    async def request(
        self,
        operation: str,
        fields: Json | None = None,
        *,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        seconds: float = RECEIVE_SECONDS_MAX,
    ) -> NatsResponse:
        """Send a command and return any response; without fields the message is empty."""
        if content is None:
            content = b"" if fields is None else json.dumps(fields).encode()
        message = await self.client.request(
            self.subject(operation), content, timeout=seconds, headers=dict(headers or {}) or None
        )
        return parse_response(message)

    async def request_ok(self, operation: str, **fields: object) -> Any:  # noqa: ANN401 - JSON.
        response = await self.request(operation, fields)
        assert response.status == 200, response
        return response.json()

    async def request_rejected(self, operation: str, **fields: object) -> str:
        """Send a command that must be rejected, and return the problem code."""
        response = await self.request(operation, fields)
        assert response.code is not None, response
        problem = response.json()
        assert (response.code, response.status) == (problem["code"], problem["status"])
        return response.code

    async def inbox(self) -> str:
        """Subscribe to a new subject that only this agent may read, and return it."""
        inbox = f"{inbox_prefix(self.agent.issued.principal)}.mine{next(_NUMBERS)}"
        await self.listener.subscribe(inbox)
        return inbox

    async def responses(self, inbox: str, count: int) -> list[NatsResponse]:
        """Wait for at least ``count`` responses in an inbox and return them."""

        def found() -> list[Msg]:
            return [message for message in self.listener.messages if message.subject == inbox]

        await wait_until(lambda: len(found()) >= count)
        return [parse_response(message) for message in found()]
