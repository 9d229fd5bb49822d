"""Invalid uses of both clients; see `invalid_usage.py`. This program is never run."""

# An invalid expression has an unknown type. Do not report that in addition.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from quorate.client import AgentRef, AsyncClient, Client, LeaseConflict, Notification
from quorate.contracts.coordination.leases import GET_LEASE

ME = AgentRef()


def use_blocking(client: Client) -> str:
    client.leases.list(agent="ann")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    client.leases.acquire("a@b.c")  # type: ignore[call-arg, arg-type]  # pyright: ignore[reportCallIssue]
    client.consensus.vote(ME, "id", "maybe")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    client.call(GET_LEASE, lease_id=7)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    return client.call(GET_LEASE, lease_id="id").fence  # type: ignore[return-value]  # pyright: ignore[reportReturnType]


async def use_async(client: AsyncClient) -> None:
    client.leases.get("id")  # type: ignore[unused-coroutine]  # pyright: ignore[reportUnusedCoroutine]
    client.agents.get("id").name  # type: ignore[attr-defined]  # noqa: B018  # pyright: ignore[reportAttributeAccessIssue]
    for _ in client.agents.iterate():  # type: ignore[attr-defined]  # pyright: ignore[reportGeneralTypeIssues]
        pass


def use_notification(notification: Notification, conflict: LeaseConflict) -> None:
    notification.data["contactEmail"]  # type: ignore[index]  # pyright: ignore[reportIndexIssue]
    conflict.fence  # type: ignore[attr-defined]  # noqa: B018  # pyright: ignore[reportAttributeAccessIssue]
