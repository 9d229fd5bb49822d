"""A trace collector: receives OTLP over HTTP and keeps the spans."""

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


class TraceCollector:
    """The received spans, and the ``paths`` of the requests."""

    def __init__(self) -> None:
        self.paths: set[str] = set()
        self.spans: list[Span] = []
        self.services: set[str] = set()
        self.url = ""

    def receive(self, path: str, body: bytes) -> None:
        self.paths.add(path)
        sent = ExportTraceServiceRequest.FromString(body)
        for of_process in sent.resource_spans:
            attributes = {
                each.key: each.value.string_value for each in of_process.resource.attributes
            }
            self.services.add(attributes["service.name"])
            for of_library in of_process.scope_spans:
                self.spans += of_library.spans

    def spans_named(self, name: str) -> list[Span]:
        return [span for span in tuple(self.spans) if span.name == name]

    def text(self) -> str:
        return "\n".join(str(span) for span in tuple(self.spans))


def attribute_of(span: Span, name: str) -> Any:  # noqa: ANN401 - any attribute type.
    """Return the value of an attribute of a span, or None."""
    for each in span.attributes:
        if each.key == name:
            return getattr(each.value, str(each.value.WhichOneof("value")))
    return None


@contextmanager
def run_collector() -> Iterator[TraceCollector]:
    collector = TraceCollector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            collector.receive(self.path, body)
            response = ExportTraceServiceResponse().SerializeToString()
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", str(len(response)))
            self.end_headers()
            self.wfile.write(response)

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
