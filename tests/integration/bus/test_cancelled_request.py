"""A cancelled task ends, also when the response arrives at the same moment.

A process that was frozen finds both ready at once when it continues, so the case is not rare.
"""

import asyncio
from typing import Any

import pytest
from nats.aio.msg import Msg

from tests.integration.bus.stage import Stage, until

SUBJECT = "nobody.answers"


async def silence(_: Msg) -> None:
    pass


async def test_cancellation_that_arrives_with_the_response_is_not_lost(stage: Stage) -> None:
    connection = await stage.connector("asking")()
    try:
        await connection.client.subscribe(SUBJECT, cb=silence)
        await connection.flush()
        pending = asyncio.create_task(connection.request(SUBJECT, b""))
        client: Any = connection.client
        await until(lambda: bool(client._resp_map))
        (response,) = client._resp_map.values()

        response.set_result(Msg(_client=client, data=b"at last"))
        pending.cancel()

        with pytest.raises(asyncio.CancelledError):
            await pending
    finally:
        await connection.close()
