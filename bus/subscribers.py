"""One FastStream subscriber for each operation that an agent may call over NATS.

* The subject is ``quorate.{tenant}.cmd.{agent_id}.<operation>``, with the queue group
  ``quorate-commands``.
* A subscriber hands the message over and returns (bus/command_tasks.py). It sends no response
  (``no_reply``), so the next command does not wait.
* The same declarations, with the request models and the parameters of the subject, describe the
  operations in the AsyncAPI document (``describe``).
"""

from collections.abc import Callable
from typing import Annotated, Any

from faststream import Path
from faststream.nats import NatsBroker, NatsMessage
from nats.aio.msg import Msg
from pydantic import BaseModel

from quorate.bus.command_routes import QUEUE
from quorate.bus.subjects import COMMANDS, CommandSubject
from quorate.contracts.message_fields import request_model
from quorate.contracts.operations import AnyOperation


def subscribe(
    broker: NatsBroker, endpoint: AnyOperation, start: Callable[[Msg, CommandSubject], None]
) -> None:
    """Add the subscriber of an operation; ``start`` gets each message and must not block.

    ``apply_types=False`` excludes parameters of type ``Path()``, so the message provides the path.
    """

    async def hand_over(message: NatsMessage) -> None:
        sender = CommandSubject(operation=endpoint.name, **message.path)
        start(message.raw_message, sender)

    _subscriber(broker, endpoint)(hand_over)


def describe(broker: NatsBroker, endpoint: AnyOperation) -> None:
    """Add a subscriber that only describes the operation; the broker is never started.

    The id in the subject has another name than the field ``agent_id`` that a request may have:
    FastStream would leave out that field.
    """

    async def serve(body: BaseModel, tenant: str, sender_id: str) -> None:
        raise NotImplementedError

    serve.__annotations__ = {
        "body": request_model(endpoint),
        "tenant": Annotated[str, Path()],
        "sender_id": Annotated[str, Path()],
    }
    _subscriber(broker, endpoint, "{sender_id}")(serve)


def _subscriber(broker: NatsBroker, endpoint: AnyOperation, agent_id: str = "{agent_id}") -> Any:  # noqa: ANN401 - FastStream's.
    return broker.subscriber(
        subject_template(endpoint.name, agent_id),
        QUEUE,
        title=endpoint.name,
        description=endpoint.summary,
        decoder=_keep_message,
        no_reply=True,
    )


async def _keep_message(message: NatsMessage) -> NatsMessage:
    """Pass the message to the handler undecoded; the operation parses it (strict JSON)."""
    return message


def subject_template(operation: str, agent_id: str = "{agent_id}") -> str:
    return COMMANDS.template.format(tenant="{tenant}", agent_id=agent_id, name=operation)
