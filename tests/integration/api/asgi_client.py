"""Requests to an ASGI application in this process, without a server."""

import asyncio
from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any, TypeAlias
from urllib.parse import unquote_to_bytes

import orjson

from quorate.domain.shared.records import record
from quorate.runtime.asgi import ASGIApplication, Headers

Message: TypeAlias = MutableMapping[str, Any]


@record
class AsgiResponse:
    status: int
    headers: Headers
    body: bytes

    @property
    def json(self) -> Any:  # noqa: ANN401 - any JSON value.
        return orjson.loads(self.body)

    def header(self, name: str) -> str | None:
        for found, value in self.headers:
            if found == name.encode():
                return value.decode("latin-1")
        return None


@record
class AsgiRequest:
    """One request. ``chunks`` are the parts in which its body arrives."""

    method: str
    path: str
    headers: Sequence[tuple[str, str]] = ()
    chunks: Sequence[bytes] = (b"",)

    def scope(self) -> Message:
        path, _, query = self.path.partition("?")
        pairs = [(n.lower().encode("latin-1"), v.encode("latin-1")) for n, v in self.headers]
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": self.method,
            "path": unquote_to_bytes(path).decode("utf-8", "replace"),
            "raw_path": path.encode("latin-1"),
            "query_string": query.encode("latin-1"),
            "root_path": "",
            "scheme": "http",
            "headers": [(b"host", b"quorate.test"), *pairs],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
            "state": {},
            "extensions": {},
        }


def json_request(
    method: str, path: str, body: object, *, key: str, headers: Mapping[str, str] | None = None
) -> AsgiRequest:
    sent = body if isinstance(body, bytes) else orjson.dumps(body)
    known = {
        "Authorization": f"Bearer {key}",
        "Content-Type": "application/json",
        "Content-Length": str(len(sent)),
    }
    return AsgiRequest(
        method=method,
        path=path,
        headers=list((known | dict(headers or {})).items()),
        chunks=[sent],
    )


async def ask(app: ASGIApplication, request: AsgiRequest) -> AsgiResponse:
    """Send a request and return the complete response."""
    sent: list[Message] = []
    pending = list(request.chunks)

    async def receive() -> Message:
        if not pending:
            await asyncio.Event().wait()
        body = pending.pop(0)
        return {"type": "http.request", "body": body, "more_body": bool(pending)}

    async def send(message: Message) -> None:
        sent.append(message)

    await app(request.scope(), receive, send)
    start, *parts = sent
    return AsgiResponse(
        status=start["status"],
        headers=start["headers"],
        body=b"".join(part.get("body", b"") for part in parts),
    )
