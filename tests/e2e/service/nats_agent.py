"""One agent's commands over NATS, asked with its own key and answered in its own inbox."""

import itertools
import json
from collections.abc import Mapping
from typing import Any

from nats.aio.msg import Msg

from quorate.bus.subjects import command, inbox_prefix
from quorate.domain.shared.records import record
from tests.e2e.service.http_clients import Agent
from tests.e2e.service.nats_listener import HEARD_SECONDS_MAX, Listener, until
from tests.e2e.service.service_process import Json

STATUS, CODE = "Nats-Service-Error-Code", "Nats-Service-Error"
_NUMBERS = itertools.count(1)


@record
class Heard:
    """An answer. Its status is what the same answer has over HTTP."""

    status: int
    code: str | None
    headers: Mapping[str, str]
    content: bytes

    def json(self) -> Any:  # noqa: ANN401 - whatever JSON can say.
        return json.loads(self.content)


def heard(message: Msg) -> Heard:
    headers = dict(message.headers or {})
    return Heard(
        status=int(headers.pop(STATUS, "200")),
        code=headers.pop(CODE, None),
        headers={name.lower(): value for name, value in headers.items()},
        content=message.data,
    )


class Asking:
    """A connection of one agent. It comes back by itself when it is lost."""

    def __init__(self, agent: Agent, listener: Listener) -> None:
        self.agent = agent
        self.listener = listener
        self.client = listener.client

    @classmethod
    async def of(cls, agent: Agent) -> "Asking":
        return cls(agent, await agent.listen(comes_back=True))

    def subject(self, operation: str) -> str:
        return command(self.agent.issued.tenant, self.agent.id, operation)

    async def ask(
        self,
        operation: str,
        fields: Json | None = None,
        *,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        seconds: float = HEARD_SECONDS_MAX,
    ) -> Heard:
        """Whatever comes back; without fields the message is empty."""
        if content is None:
            content = b"" if fields is None else json.dumps(fields).encode()
        message = await self.client.request(
            self.subject(operation), content, timeout=seconds, headers=dict(headers or {}) or None
        )
        return heard(message)

    async def must(self, operation: str, **fields: object) -> Any:  # noqa: ANN401 - JSON.
        answer = await self.ask(operation, fields)
        assert answer.status == 200, answer
        return answer.json()

    async def may_not(self, operation: str, **fields: object) -> str:
        """The code with which a command is refused that has to be refused."""
        answer = await self.ask(operation, fields)
        assert answer.code is not None, answer
        assert (answer.code, answer.status) == (answer.json()["code"], answer.json()["status"])
        return answer.code

    async def inbox(self) -> str:
        """A subject on which this agent hears, and only it."""
        inbox = f"{inbox_prefix(self.agent.issued.principal)}.mine{next(_NUMBERS)}"
        await self.listener.hear(inbox)
        return inbox

    async def answers(self, inbox: str, count: int) -> list[Heard]:
        """All answers that came there, as soon as there are so many."""

        def found() -> list[Msg]:
            return [message for message in self.listener.messages if message.subject == inbox]

        await until(lambda: len(found()) >= count)
        return [heard(message) for message in found()]
