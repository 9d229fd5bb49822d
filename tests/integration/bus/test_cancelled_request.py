"""Whoever is told to end does, also when the answer that it waits for comes at that very moment.

A process that was frozen finds everything ready at once when it goes on, so this is no rare case.
"""

import asyncio
from typing import Any

import pytest
from nats.aio.msg import Msg

from tests.integration.bus.stage import Stage, until

SUBJECT = "nobody.answers"


async def silence(_: Msg) -> None:
    pass


async def test_a_cancellation_that_comes_with_the_answer_is_not_lost(stage: Stage) -> None:
    connection = await stage.connector("asking")()
    try:
        await connection.client.subscribe(SUBJECT, cb=silence)
        await connection.flush()
        asking = asyncio.create_task(connection.request(SUBJECT, b""))
        client: Any = connection.client
        await until(lambda: bool(client._resp_map))
        (answer,) = client._resp_map.values()

        answer.set_result(Msg(_client=client, data=b"at last"))
        asking.cancel()

        with pytest.raises(asyncio.CancelledError):
            await asking
    finally:
        await connection.close()
