"""Serve commands without FastStream's pipeline: the hot operations, and unknown ones.

* The checks are the same as those of the broker's middlewares: the reply subject, then the limits.
  Both ways then start the same task (bus/command_tasks.py), so their responses are equal.
* FastStream describes the hot operations all the same, with a broker that is never started
  (bus/asyncapi.py).
* The hot operations are those that agents send all the time. FastStream's pipeline reduces the
  number of commands per second by about a third (docs/decisions/0063-faststream-commands.md).
"""

from nats.aio.msg import Msg

from quorate.bus.command_tasks import CommandTasks, can_reply
from quorate.bus.subjects import parse_command_subject
from quorate.contracts.registry import OPERATIONS

HOT_OPERATIONS = frozenset(operation.name for operation in OPERATIONS if operation.hot)


class FastLane:
    def __init__(self, tasks: CommandTasks) -> None:
        self._tasks = tasks

    async def serve(self, message: Msg) -> None:
        sender = parse_command_subject(message.subject)
        if not can_reply(message, sender):
            return
        try:
            if self._tasks.exceeds_limit(sender):
                await self._tasks.reject(message, sender)
            else:
                self._tasks.start(message, sender)
        except Exception as error:  # noqa: BLE001 - every failure becomes a response.
            await self._tasks.fail(message, sender, error)

    async def reject(self, message: Msg) -> None:
        """Reject a message of an agent of which too many messages wait."""
        sender = parse_command_subject(message.subject)
        if can_reply(message, sender):
            await self._tasks.reject(message, sender)
