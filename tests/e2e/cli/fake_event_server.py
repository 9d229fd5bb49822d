"""A fake service with only ``GET /v1/events``, which can be made to fail."""

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import TracebackType
from typing import Any, ClassVar, Self
from urllib.parse import parse_qs, urlsplit

import orjson

KEY = "qk_made_up"


class FakeEventServer:
    def __init__(self, events: list[dict[str, Any]]) -> None:
        self.events = events
        self.page_length = 7
        self.failure: tuple[int, bytes] | None = None
        self.requested: list[int] = []
        handler = type("Handler", (_Handler,), {"fake_server": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def page(self, after: int, limit: int) -> dict[str, Any]:
        self.requested.append(after)
        events = self.events[after:][: min(limit, self.page_length)]
        head = len(self.events)
        next_ = min(after + len(events), head)
        return {"events": events, "head": head, "next": next_, "gap": None}


class _Handler(BaseHTTPRequestHandler):
    fake_server: ClassVar[FakeEventServer]

    def do_GET(self) -> None:
        status, body = self.fake_server.failure or self._respond()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _respond(self) -> tuple[int, bytes]:
        if self.headers["Authorization"] != f"Bearer {KEY}":
            return 401, b'{"title": "A valid API key is required", "status": 401}'
        address = urlsplit(self.path)
        if address.path != "/v1/events":
            return 404, b'{"title": "Not found", "status": 404}'
        query = parse_qs(address.query)
        page = self.fake_server.page(int(query["after"][0]), int(query["limit"][0]))
        return 200, orjson.dumps(page)

    def log_message(self, *_: object) -> None:
        pass
