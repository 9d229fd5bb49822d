"""The API documents: OpenAPI and AsyncAPI, as JSON and as reference pages."""

from functools import cache
from typing import Any

import orjson

from quorate.api.registry import NATS_ENDPOINTS, OPERATIONS
from quorate.application.operations import Call, Endpoint, Reply


# Each document is generated on the first request. The generators are imported then, because the
# service starts faster without them.
@cache
def openapi_document() -> dict[str, Any]:
    from quorate.api import openapi  # noqa: PLC0415 - see above.

    return openapi.document((*OPERATIONS, *ENDPOINTS))


@cache
def asyncapi_document() -> dict[str, Any]:
    from quorate.api import asyncapi  # noqa: PLC0415 - see above.

    return asyncapi.document(NATS_ENDPOINTS)


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


@cache
def _nats_page() -> bytes:
    from quorate.api import asyncapi_page  # noqa: PLC0415 - see above.

    return asyncapi_page.render(asyncapi_document())


async def get_openapi(_service: Any, _call: Call) -> Reply:  # noqa: ANN401 - not needed here.
    return Reply(body=_openapi_json())


async def get_http_page(_service: Any, _call: Call) -> Reply:  # noqa: ANN401 - as above.
    return _html_reply(_http_page())


async def get_asyncapi(_service: Any, _call: Call) -> Reply:  # noqa: ANN401 - as above.
    return Reply(body=_asyncapi_json())


async def get_nats_page(_service: Any, _call: Call) -> Reply:  # noqa: ANN401 - as above.
    return _html_reply(_nats_page())


def _html_reply(page: bytes) -> Reply:
    from quorate.api.html import CONTENT_SECURITY_POLICY  # noqa: PLC0415 - see above.

    headers = (
        (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
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
