"""Invalid uses of the synchronous SDK; see `invalid_usage.py`. This program is never run."""

# An invalid expression has an unknown type. Do not report that in addition.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from quorate.client.blocking import Agent


async def use_as_async() -> None:
    async with Agent.connect():  # type: ignore[attr-defined]  # pyright: ignore[reportGeneralTypeIssues]
        pass


async def await_methods(agent: Agent) -> None:
    await agent.heartbeat()  # type: ignore[misc]  # pyright: ignore[reportGeneralTypeIssues]
    async for _ in agent.notifications():  # type: ignore[attr-defined]  # pyright: ignore[reportGeneralTypeIssues]
        pass


def hold_lease(agent: Agent) -> str:
    with agent.lease(42) as lease:  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        lease.fence = 8  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
        assert lease.request_send().authorised  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
        return lease.fence  # type: ignore[return-value]  # pyright: ignore[reportReturnType]


def send_requests(agent: Agent) -> None:
    agent.request_send("a@b.c", fence="7")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    agent.vote("id", "maybe")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    agent.propose("pause", "a@b.c")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
