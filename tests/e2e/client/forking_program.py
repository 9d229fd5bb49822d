"""Fork while an agent holds a lease: python -m tests.e2e.client.forking_program CASE.

The child writes what it found to standard output and ends as CASE says. The parent waits for it,
and then does what an agent that was not forked does.
"""

import asyncio
import os
import sys
import threading
from collections.abc import Callable, Coroutine
from typing import Any

from quorate.client import Agent as AsyncAgent
from quorate.client import AsyncClient, Client, ForkedError, QuorateError
from quorate.client.blocking import Agent

CONTACT = "user@example.com"
URL, KEY = os.environ["QUORATE_URL"], os.environ["QUORATE_API_KEY"]


def raises(call: Callable[[], object]) -> bool:
    try:
        call()
    except ForkedError:
        return True
    except QuorateError as error:
        sys.stderr.write(f"{error!r}\n")
    return False


def report(**found: bool) -> None:
    missing = [name for name, is_right in found.items() if not is_right]
    os.write(1, b"child: all raise\n" if not missing else f"child: {missing}\n".encode())


def check_blocking(agent: Agent, lease: object, client: Client) -> None:
    held = lease
    report(
        is_held=raises(lambda: held.is_held),  # type: ignore[attr-defined]
        remaining=raises(lambda: held.remaining_seconds),  # type: ignore[attr-defined]
        loss=raises(lambda: held.loss),  # type: ignore[attr-defined]
        check=raises(held.check),  # type: ignore[attr-defined]
        send=raises(held.request_send),  # type: ignore[attr-defined]
        renew=raises(held.renew),  # type: ignore[attr-defined]
        release=raises(held.release),  # type: ignore[attr-defined]
        is_active=raises(lambda: agent.is_active),
        heartbeat=raises(agent.heartbeat),
        request_send=raises(lambda: agent.request_send(CONTACT)),
        acquire=raises(lambda: agent.lease("other@example.com").__enter__()),
        notifications=raises(lambda: next(agent.notifications())),
        client=raises(client.agents.list),
        repr="forked" in repr(agent) and "forked" in repr(held),
    )


def run_blocking(end: str) -> None:
    with Client(URL, KEY) as client, Agent.connect() as agent:
        client.agents.list()
        with agent.lease(CONTACT, duration_minutes=1) as lease:
            child = os.fork()
            if child == 0:
                check_blocking(agent, lease, client)
                if end == "raise":
                    raise SystemExit(7)
                if end == "connect":
                    with Agent.connect(holder="child") as own:
                        os.write(1, f"child: {own.incarnation}\n".encode())
                if end != "leave":
                    sys.exit(7)
            if child:
                wait_for(child)
                report_parent(lease.is_held, lease.request_send().authorized)
        if child == 0:
            os.write(1, b"child: left\n")
            sys.exit(7)
    threads = [one for one in threading.enumerate() if one.name == "quorate.client"]
    os.write(1, f"parent: left {threads}\n".encode())


async def run_async() -> None:
    connection = AsyncAgent.connect()
    async with AsyncClient(URL, KEY) as client:
        agent = await connection.__aenter__()
        await client.agents.list()
        lease = agent.lease(CONTACT, duration_minutes=1)
        await lease.__aenter__()
        child = os.fork()
        if child == 0:
            report(
                is_held=raises(lambda: lease.is_held),
                check=raises(lease.check),
                is_active=raises(lambda: agent.is_active),
                heartbeat=raises(lambda: agent.heartbeat().send(None)),
                client=raises(lambda: client.agents.list().send(None)),
                lease=raises(lambda: agent.lease("o@example.com").acquire().send(None)),
                leave_lease=ends_at_once(lease.__aexit__(None, None, None)),
                leave_agent=ends_at_once(connection.__aexit__(None, None, None)),
                leave_client=ends_at_once(client.__aexit__(None, None, None)),
            )
            os._exit(7)  # The end of ``asyncio.run`` would use the event loop of the parent.
        await asyncio.to_thread(wait_for, child)
        verdict = await lease.request_send()
        report_parent(lease.is_held, verdict.authorized)
        await agent.heartbeat()
        await lease.__aexit__(None, None, None)
        await connection.__aexit__(None, None, None)
    os.write(1, b"parent: left []\n")


def ends_at_once(leaving: Coroutine[Any, Any, object]) -> bool:
    """Whether a coroutine ends without waiting."""
    try:
        leaving.send(None)
    except StopIteration:
        return True
    return False


def wait_for(child: int) -> None:
    _, status = os.waitpid(child, 0)
    os.write(1, f"parent: the child ended with {os.waitstatus_to_exitcode(status)}\n".encode())


def report_parent(is_held: bool, is_authorized: bool) -> None:
    state = "holds the lease" if is_held and is_authorized else "lost the lease"
    os.write(1, f"parent: {state}\n".encode())


if __name__ == "__main__":
    if sys.argv[1] == "async":
        asyncio.run(run_async())
    else:
        run_blocking(sys.argv[1])
