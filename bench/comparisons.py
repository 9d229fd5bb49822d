"""The same work in comparable systems, if they are installed: etcd and JetStream."""

import asyncio
import shutil
import sysconfig
import time
from pathlib import Path

import nats

from quorate.bench import wrk
from quorate.bench.over_nats import IN_FLIGHT, WARM_UP_SECONDS
from quorate.bench.processes import process, wait_until_listening
from quorate.bench.report import ETCD, JETSTREAM, Row
from quorate.bench.scenarios import free_port

REQUESTS_PER_ACQUISITION = 2
_CONFIGURATION = """
listen: "127.0.0.1:{port}"
jetstream {{ store_dir: "{store}", sync_interval: always }}
"""


async def etcd(folder: Path, seconds: float) -> list[Row]:
    missing = wrk.available() or (None if shutil.which("etcd") else "etcd is not installed")
    if missing:
        return [Row(name=ETCD, unit="acquisitions/s", value=None, note=missing)]
    port, peer_port, log = free_port(), free_port(), folder / "etcd.log"
    url = f"http://127.0.0.1:{port}"
    peer_url = f"http://127.0.0.1:{peer_port}"
    command = [
        "etcd",
        f"--data-dir={folder / 'etcd'}",
        f"--listen-client-urls={url}",
        f"--advertise-client-urls={url}",
        f"--listen-peer-urls={peer_url}",
        f"--initial-advertise-peer-urls={peer_url}",
        f"--initial-cluster=default={peer_url}",
    ]
    async with process(command, log) as child:
        await wait_until_listening(port, child, log)
        load = await wrk.run("etcd.lua", url, seconds, {"CONNECTIONS": str(wrk.CONNECTIONS)})
    note = (
        f"two requests each; {load.failed} failed; p99 of a request {load.p99_milliseconds:.1f} ms"
    )
    rate = load.rate / REQUESTS_PER_ACQUISITION
    return [Row(name=ETCD, unit="acquisitions/s", value=rate, note=note)]


async def jetstream(folder: Path, seconds: float) -> list[Row]:
    binary = shutil.which("nats-server", path=sysconfig.get_path("scripts"))
    if binary is None:
        note = "nats-server is not installed"
        return [Row(name=JETSTREAM, unit="creates/s", value=None, note=note)]
    port, log = free_port(), folder / "nats.log"
    configuration = folder / "nats.conf"
    configuration.write_text(_CONFIGURATION.format(port=port, store=folder / "store"), "utf-8")
    async with process([binary, "-c", str(configuration)], log) as child:
        await wait_until_listening(port, child, log)
        rate = await _measure_creates(port, seconds)
    note = f"nats-py, {IN_FLIGHT} in flight"
    return [Row(name=JETSTREAM, unit="creates/s", value=rate, note=note)]


async def _measure_creates(port: int, seconds: float) -> float:
    bus = await nats.connect(f"nats://127.0.0.1:{port}")
    bucket = await bus.jetstream().create_key_value(bucket="leases")

    async def create_keys(seconds: float, prefix: str) -> int:
        deadline = time.perf_counter() + seconds

        async def worker(number: int) -> int:
            count = 0
            while time.perf_counter() < deadline:
                count += 1
                await bucket.create(f"{prefix}{number}-{count}", b'{"agent":"agent-1"}')
            return count

        return sum(await asyncio.gather(*(worker(number) for number in range(IN_FLIGHT))))

    await create_keys(WARM_UP_SECONDS, "warm-up")
    started = time.perf_counter()
    total = await create_keys(seconds, "user")
    elapsed = time.perf_counter() - started
    await bus.close()
    return total / elapsed
