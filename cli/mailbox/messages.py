"""The mailbox of the acting agent: its messages by id, and addresses by agent name.

A message is named by its id, or by the last characters of it, which the tables print. Such a short
id is searched among the newest ``SEARCHED_MESSAGES`` received and sent messages.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

from quorate.cli.commands.agents import NO_AGENT_NAMED, advice_for
from quorate.cli.connection.api import CALL_TIMEOUT_SECONDS, ApiClient, open_api
from quorate.cli.connection.resolve import TargetSources, resolve_agent, resolve_target
from quorate.cli.mailbox.requests import mail_request
from quorate.cli.output.errors import NOT_FOUND, Failure
from quorate.domain.identity.agents import AgentRef

if TYPE_CHECKING:
    from quorate.contracts.mail.messages import MailMessage
    from quorate.contracts.operations import Operation

T = TypeVar("T")
SEARCHED_MESSAGES = 100
SHORT_ID_LENGTH = 8
SHORT_ID_LENGTH_MIN = 4
MESSAGE_ID_PREFIX, THREAD_ID_PREFIX = "msg_", "thr_"


class Mailbox:
    def __init__(self, api: ApiClient, agent: AgentRef) -> None:
        self.api = api
        self.agent = agent

    def call(
        self,
        operation: "Operation[T]",
        *,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
        timeout_seconds: float = CALL_TIMEOUT_SECONDS,
        **ids: str,
    ) -> T:
        request = mail_request(operation, self.agent, body=body, query=query, **ids)
        return self.api.call(
            request, idempotency_key=idempotency_key, timeout_seconds=timeout_seconds
        )

    def message_id(self, text: str) -> str:
        """Return the id of the message that a full or short id names; raise Failure."""
        if text.startswith(MESSAGE_ID_PREFIX):
            return text
        found = self._find(text, "message_id")
        if not found:
            message = f"No message with the id ...{text} among the newest {SEARCHED_MESSAGES}"
            raise Failure(message, NOT_FOUND, "use the full id, from -o wide or -o json")
        return found[0].message_id

    def thread_id(self, text: str) -> str:
        """Return the id of a thread, which is named by its id or by one of its messages."""
        from quorate.contracts.mail.messages import GET_MESSAGE

        if text.startswith(THREAD_ID_PREFIX):
            return text
        if text.startswith(MESSAGE_ID_PREFIX):
            query = {"mark_read": False}
            return self.call(GET_MESSAGE, query=query, message_id=text).thread_id
        by_message = self._find(text, "message_id") or self._find(text, "thread_id")
        if not by_message:
            message = f"No thread or message with the id ...{text} among the newest messages"
            raise Failure(message, NOT_FOUND, "use the full id, from -o wide or -o json")
        return by_message[0].thread_id

    def _find(self, text: str, field: str) -> "list[MailMessage]":
        from quorate.contracts.mail.messages import LIST_INBOX, LIST_SENT

        if len(text) < SHORT_ID_LENGTH_MIN:
            raise click.UsageError(f"An id has at least {SHORT_ID_LENGTH_MIN} characters: {text}")
        query = {"limit": SEARCHED_MESSAGES}
        messages = {
            message.message_id: message
            for page in (self.call(LIST_INBOX, query=query), self.call(LIST_SENT, query=query))
            for message in page.messages
        }
        found = [one for one in messages.values() if getattr(one, field).endswith(text.lower())]
        if len({getattr(one, field) for one in found}) > 1:
            raise Failure(f"Several ids end with {text}", NOT_FOUND, "use more characters")
        return found

    def addresses(self, names: Sequence[str]) -> list[str]:
        """Return addresses as they are, and those of agents that are given by name."""
        if all("@" in name for name in names):
            return list(names)
        domain = self.own_addresses()[0].partition("@")[2]
        return [name if "@" in name else f"{name}@{domain}" for name in names]

    def own_addresses(self) -> tuple[str, str]:
        """Return the address with the name of the agent, and the one with its id."""
        from quorate.contracts.mail.mailbox import GET_ACCOUNT

        account = self.call(GET_ACCOUNT)
        domain = account.email_address.partition("@")[2]
        return account.email_address, f"{account.agent_id}@{domain}"


@contextmanager
def open_mailbox(
    sources: TargetSources, agent_id: str | None, agent_name: str | None
) -> Iterator[Mailbox]:
    """Open the mailbox of the acting agent; a failed call inside ends the command."""
    service = resolve_target(sources)
    agent = resolve_agent(service, agent_id, agent_name)
    advice = {**advice_for(agent), "mailbox_required": NO_AGENT_NAMED}
    with open_api(sources, service, advice=advice) as api:
        yield Mailbox(api, agent)


def short_id(full_id: str) -> str:
    return full_id[-SHORT_ID_LENGTH:]
