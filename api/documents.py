"""The API documents: OpenAPI and AsyncAPI, as JSON and as reference pages."""

from functools import cache
from typing import Any

import orjson

from quorate.api import asyncapi_page
from quorate.api.registry import NATS_OPERATIONS
from quorate.application.operations import Call, Reply, handles
from quorate.contracts.operations import Operation
from quorate.contracts.problems import PathNotFound, Problem
from quorate.contracts.registry import OPERATIONS

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
# A part of the page, so the OpenAPI document omits it.
PAGE_ASSET: Operation[None] = Operation(
    method="GET",
    path=asyncapi_page.ASSETS_PATH + "{file}",
    name="asyncapiAsset",
    summary="Get a file of the NATS API reference",
    media="text/javascript",
    errors=(PathNotFound,),
)
ENDPOINTS = (OPENAPI, DOCS, ASYNCAPI, ASYNCAPI_PAGE)
ASSET_CACHING = b"public, max-age=3600"


# Each document is generated on the first request. The generators are imported then, because the
# service starts faster without them.
@cache
def openapi_document() -> dict[str, Any]:
    from quorate.api import openapi  # noqa: PLC0415 - see above.

    return openapi.document((*OPERATIONS, *ENDPOINTS))


@cache
def asyncapi_document() -> dict[str, Any]:
    from quorate.bus import asyncapi  # noqa: PLC0415 - see above.

    return asyncapi.asyncapi_document(NATS_OPERATIONS, asyncapi.tags_of(NATS_OPERATIONS))


@cache
def _openapi_json() -> bytes:
    return orjson.dumps(openapi_document())


@cache
def _http_page() -> bytes:
    from quorate.api import docs_page  # noqa: PLC0415 - see above.

    return docs_page.render(openapi_document())


@cache
def _asyncapi_json() -> bytes:
    return orjson.dumps(asyncapi_document())


@handles(OPENAPI)
async def get_openapi(_service: Any, _call: Call) -> Reply:  # noqa: ANN401 - not needed here.
    return Reply(body=_openapi_json())


@handles(DOCS)
async def get_http_page(_service: Any, _call: Call) -> Reply:  # noqa: ANN401 - as above.
    from quorate.api.html import CONTENT_SECURITY_POLICY  # noqa: PLC0415 - see above.

    return _html_reply(_http_page(), CONTENT_SECURITY_POLICY)


@handles(ASYNCAPI)
async def get_asyncapi(_service: Any, _call: Call) -> Reply:  # noqa: ANN401 - as above.
    return Reply(body=_asyncapi_json())


@handles(ASYNCAPI_PAGE)
async def get_nats_page(_service: Any, _call: Call) -> Reply:  # noqa: ANN401 - as above.
    return _html_reply(asyncapi_page.asyncapi_page(), asyncapi_page.CONTENT_SECURITY_POLICY)


@handles(PAGE_ASSET)
async def get_nats_page_asset(_service: Any, call: Call) -> Reply:  # noqa: ANN401 - as above.
    name = call.path["file"]
    if name not in asyncapi_page.ASSETS:
        raise Problem("not_found", "This file does not exist.")
    headers = ((b"cache-control", ASSET_CACHING),)
    return Reply(body=asyncapi_page.asset(name), media=asyncapi_page.ASSETS[name], headers=headers)


def _html_reply(page: bytes, policy: str) -> Reply:
    headers = (
        (b"content-security-policy", policy.encode()),
        (b"referrer-policy", b"no-referrer"),
    )
    return Reply(body=page, media=b"text/html; charset=utf-8", headers=headers)
