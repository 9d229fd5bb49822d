"""The API documents: OpenAPI and AsyncAPI, as JSON and as reference pages."""

from functools import cache
from typing import Any

import orjson

from quorate.api import asyncapi_page
from quorate.api.registry import NATS_ENDPOINTS, OPERATIONS
from quorate.application.operations import Call, Endpoint, Reply
from quorate.contracts.problems import Problem

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

    return asyncapi.asyncapi_document(NATS_ENDPOINTS, asyncapi.tags_of(NATS_ENDPOINTS))


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


async def get_openapi(_service: Any, _call: Call) -> Reply:  # noqa: ANN401 - not needed here.
    return Reply(body=_openapi_json())


async def get_http_page(_service: Any, _call: Call) -> Reply:  # noqa: ANN401 - as above.
    from quorate.api.html import CONTENT_SECURITY_POLICY  # noqa: PLC0415 - see above.

    return _html_reply(_http_page(), CONTENT_SECURITY_POLICY)


async def get_asyncapi(_service: Any, _call: Call) -> Reply:  # noqa: ANN401 - as above.
    return Reply(body=_asyncapi_json())


async def get_nats_page(_service: Any, _call: Call) -> Reply:  # noqa: ANN401 - as above.
    return _html_reply(asyncapi_page.asyncapi_page(), asyncapi_page.CONTENT_SECURITY_POLICY)


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


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/openapi.json",
        name="openapi",
        summary="Get the OpenAPI 3.1 document",
        response=dict[str, Any],
        handler=get_openapi,
    ),
    Endpoint(
        method="GET",
        path="/docs",
        name="docs",
        summary="Show the HTTP API reference",
        handler=get_http_page,
    ),
    Endpoint(
        method="GET",
        path="/asyncapi.json",
        name="asyncapi",
        summary="Get the AsyncAPI 3 document",
        description="The document describes the operations and notifications over NATS.",
        response=dict[str, Any],
        handler=get_asyncapi,
    ),
    Endpoint(
        method="GET",
        path="/asyncapi",
        name="asyncapiPage",
        summary="Show the NATS API reference",
        handler=get_nats_page,
    ),
)

# A part of the page, so the OpenAPI document omits it.
PAGE_ASSET = Endpoint(
    method="GET",
    path=asyncapi_page.ASSETS_PATH + "{file}",
    name="asyncapiAsset",
    summary="Get a file of the NATS API reference",
    media="text/javascript",
    problems=("not_found",),
    handler=get_nats_page_asset,
)
