"""Read headers, ids, the query and the body of an HTTP request within limits."""

from collections.abc import Mapping, MutableMapping
from typing import Any
from urllib.parse import parse_qsl

from quorate.api.large_bodies import NOTHING_RESERVED, Reservation
from quorate.application.strict_json import body_too_large
from quorate.contracts.operations import BODY_BYTES_MAX, JSON_MEDIA, is_id
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


class BodyReader:
    """Reads the bodies of one operation, within its limit."""

    def __init__(
        self,
        *,
        bytes_max: int = BODY_BYTES_MAX,
        media: str = JSON_MEDIA,
        is_optional: bool = False,
    ) -> None:
        self._bytes_max = bytes_max
        self._media = media.encode()
        self._detail = f"Send uncompressed {media}."
        self._is_optional = is_optional

    async def read(
        self,
        headers: Mapping[bytes, bytes],
        receive: Receive,
        reservation: Reservation = NOTHING_RESERVED,
    ) -> bytes:
        """Return the body; raise Problem. A large body is counted by the reservation."""
        media = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
        is_expected = media == self._media and b"content-encoding" not in headers
        if not is_expected and not self._may_be_empty(headers):
            raise Problem("unsupported_media_type", self._detail)
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or int(length[:20]) > self._bytes_max:
            raise body_too_large(self._bytes_max)
        reservation.grow(int(length))
        message = await receive()
        if message.get("more_body"):
            body = await self._read_rest(message, receive, reservation)
        elif message["type"] == "http.disconnect":
            raise Problem("malformed_request", "The connection ended before the body did.")
        else:
            body = message.get("body", b"")
        if len(body) > self._bytes_max:  # A chunked body has no Content-Length.
            raise body_too_large(self._bytes_max)
        if body and not is_expected:
            raise Problem("unsupported_media_type", self._detail)
        return body

    def _may_be_empty(self, headers: Mapping[bytes, bytes]) -> bool:
        return self._is_optional and not headers.get(b"content-length", b"0").strip(b"0")

    async def _read_rest(
        self, first: MutableMapping[str, Any], receive: Receive, reservation: Reservation
    ) -> bytes:
        """Read the rest of a body that arrives in parts; ``http_protocol`` limits the time."""
        body = bytearray(first.get("body", b""))
        more = True
        while more and len(body) <= self._bytes_max:
            reservation.grow(len(body))
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Problem("malformed_request", "The connection ended before the body did.")
            body += message.get("body", b"")
            more = message.get("more_body", False)
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
