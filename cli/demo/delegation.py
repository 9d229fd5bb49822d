"""A task that one agent of the demo delegates to another by mail.

* The delegating agent holds a contact. It sends a message `TASK:` and waits for its `RESULT:`.
* The assistant gets the task with a notification, and writes to the contact. The send gate blocks
  that mail, because the delegating agent holds the contact: no mail leaves the service.
* The assistant reports this in its result, in the same thread.
"""

import asyncio
import time
from collections.abc import Mapping
from typing import Any, TypeVar

from quorate.cli.mailbox.requests import mail_request
from quorate.client import AsyncClient
from quorate.contracts.mail.mailbox import GET_ACCOUNT
from quorate.contracts.mail.messages import GET_MESSAGE, SEND_MAIL, SentInfo
from quorate.contracts.operations import Operation
from quorate.domain.identity.agents import AgentRef

T = TypeVar("T")
DELEGATOR, ASSISTANT = "demo-ada", "demo-ben"
TASK_ID = "demo-1"
NOTIFICATION = "message_received"


class Delegation:
    """``task_seconds``: from the task to its result, once there is one."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client
        self._has_result = asyncio.Event()
        self.has_begun = False
        self.task_seconds: float | None = None

    async def delegate(self, contact: str, timeout_seconds: float) -> None:
        """Send the task and wait for its result; raises TimeoutError and RequestFailedError."""
        self.has_begun = True
        began = time.monotonic()
        assistant = await self._call(GET_ACCOUNT, ASSISTANT)
        subject = f"TASK:{TASK_ID} Write to {contact}"
        await self._send(DELEGATOR, assistant.email_address, subject, contact)
        async with asyncio.timeout(timeout_seconds):
            await self._has_result.wait()
        self.task_seconds = time.monotonic() - began

    async def receive(self, agent_name: str, data: Mapping[str, Any]) -> None:
        """Process a notification of a message, for the agent that received it."""
        if data["task_id"] != TASK_ID:
            return
        if data["kind"] == "TASK" and agent_name == ASSISTANT:
            await self._work(data["message_id"])
        elif data["kind"] == "RESULT" and agent_name == DELEGATOR:
            self._has_result.set()

    async def _work(self, message_id: str) -> None:
        """Read the task, write to its contact, and answer with what became of that mail."""
        task = await self._call(GET_MESSAGE, ASSISTANT, message_id=message_id)
        contact = task.body_text or ""
        sent = await self._send(ASSISTANT, contact, "Hello", "Hello from the demo.")
        result = f"My mail was {sent.status}: {sent.recipients[0].reason}"
        await self._send(
            *(ASSISTANT, task.from_address, f"RESULT:{TASK_ID}", result), in_reply_to=message_id
        )

    async def _send(
        self, agent_name: str, to: str, subject: str, text: str, in_reply_to: str | None = None
    ) -> SentInfo:
        message = {
            "to": [to],
            "subject": subject,
            "body_text": text,
            "in_reply_to": in_reply_to,
        }
        return await self._call(SEND_MAIL, agent_name, message)

    async def _call(
        self,
        operation: Operation[T],
        agent_name: str,
        body: Mapping[str, Any] | None = None,
        **ids: str,
    ) -> T:
        request = mail_request(operation, AgentRef(name=agent_name), body=body, query=None, **ids)
        return await self._client.execute(request)
