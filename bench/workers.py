"""Acquisitions with several processes, where their processor time goes, and a model of more cores.

The load generator shares the cores of this machine, so several processes gain less here than on a
machine of their own.
"""

import itertools
import json
import os
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from quorate.bench import wrk
from quorate.bench.processes import BenchService, quorate
from quorate.bench.report import ACQUIRE, Row
from quorate.bench.scaling import MICROSECONDS, Profile, simulate
from quorate.bench.scenarios import AGENTS, LEASE, as_row, register

WORKERS = 2
CORES = (2, 4, 8, 16)
NAME = f"{ACQUIRE}, {WORKERS} workers"
WARM_UP_SECONDS = 2.0
OTHERS = "parent and nats-server"
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_RUNS = itertools.count(1)


async def acquire(folder: Path, seconds: float) -> list[Row]:
    if (reason := wrk.available()) is not None:
        return [Row(name=NAME, unit="commands/s", value=None, note=reason)]
    async with quorate(folder, "--workers", str(WORKERS), "--log-level", "info") as service:
        await register(service, AGENTS)
        roles = _roles(folder / "quorate.log")
        _, few = await _measure(service, roles, seconds, connections=1)
        result, many = await _measure(service, roles, seconds, connections=wrk.CONNECTIONS)
    profile = _profile(few, many)
    rows = [as_row(NAME, result)]
    rows += [
        Row(name=f"processor time of a command: {role}", unit="us", value=many[role])
        for role in sorted(many)
    ]
    rows += [
        Row(
            name=f"model: {cores} cores, {max(1, cores - 1)} workers",
            unit="commands/s",
            value=simulate(profile, cores, max(1, cores - 1)),
            note="the load generator runs elsewhere; docs/performance.md",
        )
        for cores in CORES
    ]
    return rows


def _roles(log: Path) -> Mapping[int, str]:
    """Return the roles of the processes that have started, by their ids."""
    lines = [line for line in log.read_text("utf-8").splitlines() if line.startswith("{")]
    entries = [json.loads(line) for line in lines]
    return {one["pid"]: one["role"] for one in entries if one["event"] == "worker.started"}


async def _measure(
    service: BenchService, roles: Mapping[int, str], seconds: float, *, connections: int
) -> tuple[wrk.Load, Mapping[str, float]]:
    """Return the load, and microseconds of processor time for a command, by role."""

    async def run(seconds: float) -> wrk.Load:
        environment = {"KEY": service.key, "AGENTS": str(AGENTS), "RUN": str(next(_RUNS))}
        url = service.url + LEASE
        return await wrk.run("acquire.lua", url, seconds, environment, connections)

    await run(WARM_UP_SECONDS)
    before = _processor_seconds(service, roles)
    load = await run(seconds)
    after = _processor_seconds(service, roles)
    assert load.failed == 0, "The service rejected commands under load"
    return load, {role: MICROSECONDS * (after[role] - before[role]) / load.total for role in before}


def _processor_seconds(service: BenchService, roles: Mapping[int, str]) -> Mapping[str, float]:
    """Return the processor time of all processes so far, by role."""
    found: defaultdict[str, float] = defaultdict(float)
    for pid in _tree(service.pid):
        fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
        used = (int(fields[11]) + int(fields[12])) / _TICKS_PER_SECOND
        found[roles.get(pid, OTHERS)] += used
    return found


def _tree(pid: int) -> list[int]:
    """Return a process and all below it (Linux only)."""
    found = [pid]
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in children.read_text("ascii").split():
            found += _tree(int(child))
    return found


def _profile(few: Mapping[str, float], many: Mapping[str, float]) -> Profile:
    """Return what the model needs.

    The batches of one client have one command each, so the writer's time for a command is greater
    there by what a batch costs.
    """
    return Profile(
        http=many["http"],
        writer=many["writer"],
        batch=max(0.0, few["writer"] - many["writer"]),
        other=many["nats"] + many[OTHERS],
    )
