"""Read headers, ids, the query and the body of an HTTP request within limits."""

from collections.abc import Mapping, MutableMapping
from typing import Any
from urllib.parse import parse_qsl

from quorate.application.strict_json import BODY_BYTES_MAX, body_too_large
from quorate.contracts.operations import is_id
from quorate.contracts.problems import Problem
from quorate.runtime.asgi import Headers, Receive

QUERY_PARAMETERS_MAX = 20
TOKEN_LENGTH_MAX = 256

CREDENTIAL_HEADERS = frozenset({b"authorization", b"x-api-key"})


def collect_headers(pairs: Headers, into: dict[bytes, bytes]) -> frozenset[bytes]:
    """Add headers to a dict by name; return the names that occur more than once."""
    repeated = set()
    for name, value in pairs:
        if name in into:
            repeated.add(name)
        into[name] = value
    return frozenset(repeated)


def known_ids(found: Mapping[str, str]) -> dict[str, str]:
    """Return the ids of a path. An id without a valid form becomes "": no resource has it."""
    return {name: text if is_id(text) else "" for name, text in found.items()}


def read_token(headers: Mapping[bytes, bytes]) -> str | None:
    value = headers.get(b"authorization")
    if value is not None:
        scheme, _, token = value.partition(b" ")
        if scheme.lower() != b"bearer":
            return None
    else:
        token = headers.get(b"x-api-key", b"")
    token = token.strip()
    if not token or len(token) > TOKEN_LENGTH_MAX or not token.isascii():
        return None
    return token.decode("ascii")


async def read_body(headers: Mapping[bytes, bytes], receive: Receive) -> bytes:
    media = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    if media != b"application/json" or b"content-encoding" in headers:
        raise Problem("unsupported_media_type", "Send uncompressed application/json.")
    length = headers.get(b"content-length", b"0")
    if not length.isdigit() or int(length[:20]) > BODY_BYTES_MAX:
        raise body_too_large()
    message = await receive()
    if message.get("more_body"):
        return await _read_rest(message, receive)
    if message["type"] == "http.disconnect":
        raise Problem("malformed_request", "The connection ended before the body did.")
    body: bytes = message.get("body", b"")
    if len(body) > BODY_BYTES_MAX:  # A chunked body has no Content-Length.
        raise body_too_large()
    return body


async def _read_rest(first: MutableMapping[str, Any], receive: Receive) -> bytes:
    """Read the rest of a body that arrives in parts; ``http_protocol`` limits the time."""
    body = bytearray(first.get("body", b""))
    more = True
    while more and len(body) <= BODY_BYTES_MAX:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Problem("malformed_request", "The connection ended before the body did.")
        body += message.get("body", b"")
        more = message.get("more_body", False)
    if len(body) > BODY_BYTES_MAX:
        raise body_too_large()
    return bytes(body)


def parse_query(raw: bytes) -> dict[str, str]:
    if not raw:
        return {}
    try:
        pairs = parse_qsl(
            raw.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=True,
            errors="strict",
            max_num_fields=QUERY_PARAMETERS_MAX,
        )
    except ValueError as error:
        raise Problem("malformed_request", "The query string is malformed.") from error
    values = dict(pairs)
    if len(values) != len(pairs):
        raise Problem("malformed_request", "The query contains a parameter twice.")
    if any("\x00" in value for value in values.values()):
        raise Problem("invalid_request", "Text must not contain NUL.")
    return values
