"""Every use that the SDK makes of private parts of nats-py, one function or method for each.

All of them were written for nats-py 2.16. Review this module before an upgrade of nats-py. The
uses that the service shares are in runtime/nats_client.py.
"""

import asyncio
from typing import Any

from nats.aio.client import Client
from nats.aio.msg import Msg


async def subscribe_to_queue(
    client: Client, subject: str, queue: "asyncio.Queue[Msg | None]"
) -> None:
    """Subscribe, and have messages put into ``queue``.

    One queue for several subscriptions keeps the order in which the server sent their messages.
    nats-py 2.16 creates a queue for each subscription and has no parameter for it.
    """
    subscription: Any = await client.subscribe(subject, pending_bytes_limit=0)
    subscription._pending_queue = queue  # noqa: SLF001
