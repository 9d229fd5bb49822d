"""The API documents, OpenAPI and AsyncAPI, and the pages that show them."""

import asyncio
from collections.abc import Callable
from functools import cache, cached_property
from pathlib import Path
from typing import Any, TypeAlias

import orjson

from quorate.api import asyncapi_page
from quorate.api.registry import NATS_OPERATIONS
from quorate.application.operations import Call, Reply, handles
from quorate.contracts.operations import AnyOperation, Operation
from quorate.contracts.registry import OPERATIONS

STATIC = Path(__file__).parent / "static"
# The page loads its scripts and styles from this service only. Swagger UI has icons as data URLs.
DOCS_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
Generate: TypeAlias = Callable[[], dict[str, Any]]

OPENAPI = Operation(
    method="GET",
    path="/openapi.json",
    name="openapi",
    summary="Get the OpenAPI 3.1 document",
    response=dict[str, Any],
)
DOCS: Operation[None] = Operation(
    method="GET",
    path="/docs",
    name="docs",
    summary="Show the HTTP API reference",
    description="The page can also send requests.",
)
ASYNCAPI = Operation(
    method="GET",
    path="/asyncapi.json",
    name="asyncapi",
    summary="Get the AsyncAPI 3 document",
    description="The document describes the operations and notifications over NATS.",
    response=dict[str, Any],
)
ASYNCAPI_PAGE: Operation[None] = Operation(
    method="GET",
    path="/asyncapi",
    name="asyncapiPage",
    summary="Show the NATS API reference",
)
DOCUMENTS: tuple[AnyOperation, ...] = (OPENAPI, DOCS, ASYNCAPI, ASYNCAPI_PAGE)
ENDPOINTS: tuple[AnyOperation, ...] = (*OPERATIONS, *DOCUMENTS)


class Documents:
    """Generates each document on the first request, because a start is faster without them.

    That takes a second or more, so a thread does it: other requests must not wait meanwhile.
    """

    def __init__(self, openapi: Generate, asyncapi: Generate) -> None:
        self._openapi = openapi
        self._asyncapi = asyncapi
        self._generated: dict[Generate, asyncio.Task[bytes]] = {}

    async def openapi_json(self) -> bytes:
        return await self._once(self._openapi)

    async def asyncapi_json(self) -> bytes:
        return await self._once(self._asyncapi)

    async def _once(self, generate: Generate) -> bytes:
        task = self._generated.get(generate)
        if task is None:
            task = asyncio.create_task(asyncio.to_thread(lambda: orjson.dumps(generate())))
            self._generated[generate] = task
        # A caller that is cancelled must not cancel the document of the others.
        return task.result() if task.done() else await asyncio.shield(task)

    @cached_property
    def asyncapi_page(self) -> bytes:
        return asyncapi_page.asyncapi_page()

    @cached_property
    def docs_page(self) -> bytes:
        return (STATIC / "docs.html").read_bytes()


@cache
def asyncapi_document() -> dict[str, Any]:
    from quorate.bus import asyncapi  # noqa: PLC0415 - see Documents.

    return asyncapi.asyncapi_document(NATS_OPERATIONS)


@handles(OPENAPI)
async def get_openapi(documents: Documents, _call: Call) -> Reply:
    return Reply(body=await documents.openapi_json())


@handles(DOCS)
async def get_docs_page(documents: Documents, _call: Call) -> Reply:
    return _html_reply(documents.docs_page, DOCS_SECURITY_POLICY)


@handles(ASYNCAPI)
async def get_asyncapi(documents: Documents, _call: Call) -> Reply:
    return Reply(body=await documents.asyncapi_json())


@handles(ASYNCAPI_PAGE)
async def get_asyncapi_page(documents: Documents, _call: Call) -> Reply:
    return _html_reply(documents.asyncapi_page, asyncapi_page.CONTENT_SECURITY_POLICY)


def _html_reply(page: bytes, security_policy: str) -> Reply:
    headers = (
        (b"content-security-policy", security_policy.encode()),
        (b"referrer-policy", b"no-referrer"),
    )
    return Reply(body=page, media=b"text/html; charset=utf-8", headers=headers)
