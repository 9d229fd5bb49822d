"""A document is generated once, and other requests do not wait for it."""

import asyncio
import threading
from typing import Any

from quorate.api.documents import Documents

RELEASE_SECONDS_MAX = 60.0


async def test_document_is_generated_once_beside_the_event_loop() -> None:
    released, generated = threading.Event(), list[str]()
    begun, loop = asyncio.Event(), asyncio.get_running_loop()

    def generate() -> dict[str, Any]:
        generated.append("openapi")
        loop.call_soon_threadsafe(begun.set)
        assert released.wait(RELEASE_SECONDS_MAX), "the event loop waited for the document"
        return {"openapi": "3.1.0"}

    documents = Documents(generate, dict)
    waiting = [asyncio.create_task(documents.openapi_json()) for _ in range(3)]
    await begun.wait()
    waiting[0].cancel()
    released.set()

    assert await asyncio.gather(*waiting[1:]) == [b'{"openapi":"3.1.0"}'] * 2
    assert await documents.openapi_json() == b'{"openapi":"3.1.0"}'
    assert generated == ["openapi"]
    assert waiting[0].cancelled()
