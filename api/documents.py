"""What this API is, said by itself: as OpenAPI for programs, as a page for people."""

from functools import cache
from typing import Any

import orjson

from quorate.api.docs_page import CONTENT_SECURITY_POLICY, page
from quorate.api.endpoint import Call, Endpoint, Reply
from quorate.api.openapi import document

_PAGE_HEADERS = (
    (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
    (b"referrer-policy", b"no-referrer"),
)


@cache
def api_document() -> dict[str, Any]:
    """Made once, when first asked for: the table of endpoints imports this module."""
    from quorate.api.table import ENDPOINTS as ALL  # noqa: PLC0415 - see above.

    return document(ALL)


@cache
def _as_json() -> bytes:
    return orjson.dumps(api_document())


@cache
def _as_page() -> bytes:
    return page(api_document())


async def show_document(_service: Any, _call: Call) -> Reply:  # noqa: ANN401 - not needed here.
    return Reply(body=_as_json())


async def show_page(_service: Any, _call: Call) -> Reply:  # noqa: ANN401 - not needed here.
    return Reply(body=_as_page(), media=b"text/html; charset=utf-8", headers=_PAGE_HEADERS)


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/openapi.json",
        name="openapi",
        summary="This API as an OpenAPI 3.1 document",
        answer=dict[str, Any],
        handler=show_document,
    ),
    Endpoint(
        method="GET",
        path="/docs",
        name="docs",
        summary="This API as a page",
        handler=show_page,
    ),
)
