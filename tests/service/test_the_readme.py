"""What the README shows is typed here to the letter, and does what it says."""

import asyncio
import json
import os
import re
import subprocess
import sys
from pathlib import Path

from tests.service.callers import Tenant
from tests.service.running import Running, environment

README = (Path(__file__).parent.parent.parent / "README.md").read_text("utf-8")
BLOCKS: list[tuple[str, str]] = re.findall(r"```(\w+)\n(.*?)```", README, flags=re.DOTALL)
SAID_SECONDS_MAX = 20.0


def block(language: str, mark: str) -> str:
    """The one block of the README that holds ``mark``."""
    (found,) = [text for kind, text in BLOCKS if kind == language and mark in text]
    return found


def surroundings(tenant: Tenant, service: Running, tmp_path: Path) -> dict[str, str]:
    """The service's address and key, and ``quorate`` on the PATH, as after ``make run``."""
    command = tmp_path / "quorate"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m quorate.cli.main "$@"\n')
    command.chmod(0o755)
    return environment(
        URL=service.url,
        KEY=tenant.text,
        NATS_URL=service.nats_url,
        PATH=f"{tmp_path}:{os.environ['PATH']}",
    )


def typed(script: str, variables: dict[str, str], folder: Path) -> str:
    """What the commands of a block print; where the service is, is already known."""
    lines = [line for line in script.splitlines() if not line.startswith("export URL")]
    commands = "\n".join(line for line in lines if not line.startswith("export KEY"))
    done = subprocess.run(
        ["bash", "-e", "-c", commands],
        env=variables,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout


async def test_the_conflict_is_a_conflict_and_the_log_is_auditable(
    service: Running, tenant: Tenant, tmp_path: Path
) -> None:
    variables = surroundings(tenant, service, tmp_path)

    shown = await asyncio.to_thread(typed, block("sh", "# Two agents."), variables, tmp_path)

    decoder, found, at = json.JSONDecoder(), [], 0
    while at < len(shown.rstrip()):
        value, at = decoder.raw_decode(shown, at)
        found.append(value)
    ann, bob, lease, refusal, log = found
    assert (ann["agentRole"], bob["agentRole"]) == ("outbound", "general")
    assert lease["agentId"] == ann["id"]
    assert (refusal["conflict"], refusal["leaseHolder"]["agentName"]) == (True, "outreach-agent")
    assert log["events"][-1]["type"] == "LeaseConflicted"

    audit = await asyncio.to_thread(typed, block("sh", "quorate verify"), variables, tmp_path)

    assert "is whole" in audit
    assert "user@example.com" in audit


async def test_the_listener_hears_of_a_conflict(
    service: Running, tenant: Tenant, tmp_path: Path
) -> None:
    holder, rival = await tenant.agents_of("outreach-agent", "rival")
    listener = await asyncio.create_subprocess_exec(
        sys.executable,
        "-u",
        "-c",
        block("python", "nats.connect"),
        env=surroundings(tenant, service, tmp_path),
        stdout=asyncio.subprocess.PIPE,
    )
    assert listener.stdout is not None
    try:
        await holder.lease(holder.id, "user@example.com")
        async with asyncio.timeout(SAID_SECONDS_MAX):
            said = asyncio.ensure_future(listener.stdout.readline())
            while not said.done():  # It says nothing while it connects.
                await rival.acquire(rival.id, "user@example.com")
                await asyncio.wait({said}, timeout=0.2)
        assert said.result().startswith(b"quorate.lease_conflict ")
    finally:
        listener.kill()
        await listener.wait()
