"""Run the service in the lifespan of any ASGI server.

* The service starts and stops with the server, and has its data directory for itself: use one
  process. Several processes are started by ``quorate serve --workers``.
* Limits of connections are those of the server. The protocol of ``quorate serve``
  (``server/http_protocol.py``) limits them for callers on the internet.
"""

import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from types import FrameType
from typing import Protocol, TypeAlias

from starlette.routing import Router

from quorate.api.app import create_http_application
from quorate.application.execution import Service
from quorate.bus.embedded.server import reachable_host
from quorate.bus.service import NatsService
from quorate.runtime.asgi import ASGIApplication, Receive, Scope, Send
from quorate.runtime.process_lock import DataDirLock
from quorate.runtime.signals import without_ignored
from quorate.server import logging
from quorate.server.bootstrap import create_data_dir, provide_keys
from quorate.server.environment import Environment
from quorate.server.options import Options


class Running(Protocol):
    """A running service, as ``server/container.py`` starts it."""

    @property
    def service(self) -> Service: ...
    @property
    def nats_service(self) -> NatsService: ...


RunService: TypeAlias = Callable[[Options], AbstractAsyncContextManager[Running]]


class LifespanApplication:
    """An ASGI application whose lifespan starts and stops the service."""

    def __init__(self, environment: Environment, run_service: RunService) -> None:
        self._environment = environment
        self._run_service = run_service
        self._lifespan = Router(lifespan=self._run)
        self._application: ASGIApplication | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(scope, receive, send)
        else:
            assert self._application is not None, "the ASGI server must support the lifespan"
            await self._application(scope, receive, send)

    @asynccontextmanager
    async def _run(self, _router: object) -> AsyncIterator[None]:
        environment, options = self._environment, self._environment.options
        logging.configure(environment.log_level)
        url = f"http://{reachable_host(environment.host)}:{environment.port}"
        create_data_dir(options.data_dir)
        with DataDirLock(options.data_dir):
            async with self._run_service(options) as running:
                nats_url = running.nats_service.url
                await provide_keys(running.service, options, url=url, nats_url=nats_url)
                self._application = create_http_application(
                    running.service,
                    fast_lane=options.fast_lane,
                    cors_origins=options.cors_origins,
                )
                with _before_shutdown(running.service.subscriptions.close):
                    yield


@contextmanager
def _before_shutdown(end_streams: Callable[[], None]) -> Iterator[None]:
    """End the streams when the process gets a signal to stop.

    Uvicorn waits for all responses before it ends the lifespan, so streams would block its stop.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # Only the main thread may handle signals.
        return
    numbers = without_ignored((signal.SIGTERM, signal.SIGINT))
    previous = {number: signal.getsignal(number) for number in numbers}

    def stop(number: int, frame: FrameType | None) -> None:
        end_streams()
        handler = previous[signal.Signals(number)]
        if callable(handler):
            handler(number, frame)

    for number in numbers:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
