"""An HTTP proxy that loses the first response to one path, after something else has happened."""

import http.client
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import urlsplit

RESPONSE_SECONDS_MAX = 30.0
DROPPED_HEADERS = {"connection", "content-length", "transfer-encoding", "host"}


class LossyProxy(ThreadingHTTPServer):
    """``on_loss`` runs after the service has responded, and before the caller sees the loss."""

    daemon_threads = True

    def __init__(self, target: str, path: str, on_loss: Callable[[], None]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.target = urlsplit(target).netloc
        self.path = path
        self.on_loss = on_loss
        self.losses = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: LossyProxy

    def do_GET(self) -> None:
        self._forward()

    def do_POST(self) -> None:
        self._forward()

    def do_DELETE(self) -> None:
        self._forward()

    def log_message(self, *_: object) -> None:
        """Print nothing."""

    def _forward(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        service = http.client.HTTPConnection(self.server.target, timeout=RESPONSE_SECONDS_MAX)
        sent = {k: v for k, v in self.headers.items() if k.lower() not in DROPPED_HEADERS}
        service.request(self.command, self.path, body, sent)
        response = service.getresponse()
        content = response.read()
        service.close()
        if self.path == self.server.path and not self.server.losses:
            self.server.losses += 1
            self.server.on_loss()
            self.close_connection = True
            return
        self.send_response(response.status)
        for name, value in response.getheaders():
            if name.lower() not in DROPPED_HEADERS:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@contextmanager
def lossy_proxy(target: str, path: str, on_loss: Callable[[], None]) -> Iterator[LossyProxy]:
    with LossyProxy(target, path, on_loss) as proxy:
        thread = Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield proxy
        finally:
            proxy.shutdown()
            thread.join()
