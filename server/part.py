"""Run a part of the service that serves no HTTP: the writer, or the process for NATS.

A second writer waits here until the first one has ended: it has loaded everything by then, so it
takes over at once.
"""

import asyncio
import signal
import socket
from collections.abc import Callable
from contextlib import suppress

from quorate.bus.embedded.server import reachable_host
from quorate.runtime.signals import without_ignored
from quorate.server.bootstrap import create_data_dir, provide_keys
from quorate.server.container import Options, run_service
from quorate.server.run import Addresses, freeze_start_objects, log_started, log_stopped

_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


async def serve_part(
    options: Options,
    *,
    host: str,
    port: int,
    announce: Callable[[Addresses], None],
    worker_socket: socket.socket,
) -> None:
    """Run until SIGTERM or SIGINT; call ``announce`` when this process has started or waits."""
    del port  # The socket has it.
    create_data_dir(options.data_dir)
    with worker_socket:
        url = f"http://{reachable_host(host)}:{worker_socket.getsockname()[1]}"
    assert options.nats_url is not None
    addresses = Addresses(url=url, nats_url=options.nats_url)
    has_started, must_stop = asyncio.Event(), asyncio.Event()
    for number in without_ignored(_STOP_SIGNALS):
        asyncio.get_running_loop().add_signal_handler(number, must_stop.set)

    async def serve() -> None:
        async with run_service(options, lambda: announce(addresses)) as running:
            if options.role.writes:
                await provide_keys(
                    running.service, options, url=addresses.url, nats_url=addresses.nats_url
                )
            has_started.set()
            freeze_start_objects()
            log_started("worker.started", options, addresses)
            announce(addresses)
            await must_stop.wait()

    serving = asyncio.create_task(serve())
    stopping = asyncio.create_task(must_stop.wait())
    await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not has_started.is_set() and not serving.done():
        serving.cancel()
    with suppress(asyncio.CancelledError):
        await serving
    log_stopped("worker.stopped")
