"""A collector of traces: takes OTLP over HTTP, as any would, and keeps what it was sent."""

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span

POLL_SECONDS = 0.01


class Collector:
    """``paths`` are those that were posted to."""

    def __init__(self) -> None:
        self.paths: set[str] = set()
        self.spans: list[Span] = []
        self.services: set[str] = set()
        self.url = ""

    def take(self, path: str, body: bytes) -> None:
        self.paths.add(path)
        sent = ExportTraceServiceRequest.FromString(body)
        for of_process in sent.resource_spans:
            said = {each.key: each.value.string_value for each in of_process.resource.attributes}
            self.services.add(said["service.name"])
            for of_library in of_process.scope_spans:
                self.spans += of_library.spans

    def named(self, name: str) -> list[Span]:
        return [span for span in tuple(self.spans) if span.name == name]

    def text(self) -> str:
        return "\n".join(str(span) for span in tuple(self.spans))


def said(span: Span, name: str) -> Any:  # noqa: ANN401 - of whatever kind.
    """An attribute of a span."""
    for each in span.attributes:
        if each.key == name:
            return getattr(each.value, str(each.value.WhichOneof("value")))
    return None


@contextmanager
def collecting() -> Iterator[Collector]:
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            collector.take(self.path, body)
            answer = ExportTraceServiceResponse().SerializeToString()
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    collector.url = f"http://127.0.0.1:{server.server_port}"
    Thread(target=server.serve_forever, args=(POLL_SECONDS,), daemon=True).start()
    try:
        yield collector
    finally:
        server.shutdown()
        server.server_close()
