"""What this API is, said by itself: over HTTP and over NATS, for programs and for people."""

from functools import cache
from typing import Any

import orjson

from quorate.application.operations import Call, Endpoint, Reply


# Each is made once, when first asked for, and so is loaded what makes it: the table of endpoints
# imports this module, and a service starts without either.
@cache
def api_document() -> dict[str, Any]:
    from quorate.api import openapi, routes  # noqa: PLC0415 - see above.

    return openapi.document(routes.ENDPOINTS)


@cache
def nats_document() -> dict[str, Any]:
    from quorate.api import asyncapi, nats_commands  # noqa: PLC0415 - see above.

    return asyncapi.document(nats_commands.SERVED)


@cache
def _api_json() -> bytes:
    return orjson.dumps(api_document())


@cache
def _api_page() -> bytes:
    from quorate.api import docs_page  # noqa: PLC0415 - see above.

    return docs_page.page(api_document())


@cache
def _nats_json() -> bytes:
    return orjson.dumps(nats_document())


@cache
def _nats_page() -> bytes:
    from quorate.api import asyncapi_page  # noqa: PLC0415 - see above.

    return asyncapi_page.page(nats_document())


async def show_api(_service: Any, _call: Call) -> Reply:  # noqa: ANN401 - not needed here.
    return Reply(body=_api_json())


async def show_api_page(_service: Any, _call: Call) -> Reply:  # noqa: ANN401 - as above.
    return _shown(_api_page())


async def show_nats(_service: Any, _call: Call) -> Reply:  # noqa: ANN401 - as above.
    return Reply(body=_nats_json())


async def show_nats_page(_service: Any, _call: Call) -> Reply:  # noqa: ANN401 - as above.
    return _shown(_nats_page())


def _shown(page: bytes) -> Reply:
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
        summary="This API as an OpenAPI 3.1 document",
        answer=dict[str, Any],
        handler=show_api,
    ),
    Endpoint(
        method="GET",
        path="/docs",
        name="docs",
        summary="This API as a page",
        handler=show_api_page,
    ),
    Endpoint(
        method="GET",
        path="/asyncapi.json",
        name="asyncapi",
        summary="What can be asked and heard over NATS, as an AsyncAPI 3 document",
        answer=dict[str, Any],
        handler=show_nats,
    ),
    Endpoint(
        method="GET",
        path="/asyncapi",
        name="asyncapiPage",
        summary="What can be asked and heard over NATS, as a page",
        handler=show_nats_page,
    ),
)
