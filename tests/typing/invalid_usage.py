"""Invalid uses of the SDK. The comment of a line names the error that a type checker must report.

An unnecessary ignore comment is an error too. So a checker that reports no error for this file has
found exactly the error of each marked line. This program is never run.
"""

# An invalid expression has an unknown type. Do not report that in addition.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from quorate.client import Agent, ClientConfig, Lease, LeaseConflictError, Notification, SendVerdict


async def connect() -> None:
    Agent.connect(8420)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Agent.connect("url", "key", "ann")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    Agent.connect(agent="ann")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    Agent.connect(after="17")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ClientConfig(patience=5)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    with Agent.connect():  # type: ignore[attr-defined]  # pyright: ignore[reportGeneralTypeIssues]
        pass


async def hold_lease(agent: Agent) -> None:
    agent.lease(42)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    agent.lease()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    agent.lease("a@b.c", "sales")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    agent.lease("a@b.c", duration_minutes="30")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await agent.lease("a@b.c")  # type: ignore[misc]  # pyright: ignore[reportGeneralTypeIssues]
    with agent.lease("a@b.c"):  # type: ignore[attr-defined]  # pyright: ignore[reportGeneralTypeIssues]
        pass


async def use_lease(lease: Lease) -> str:
    lease.fence = 8  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    lease.renew()  # type: ignore[unused-coroutine]  # pyright: ignore[reportUnusedCoroutine]
    if lease.request_send().authorized:  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
        pass
    return lease.fence  # type: ignore[return-value]  # pyright: ignore[reportReturnType]


async def use_send_gate(agent: Agent, verdict: SendVerdict) -> None:
    await agent.request_send("a@b.c", fence="7")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await agent.request_send("a@b.c", 7)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    assert verdict.authorised  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    verdict.authorized = True  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    bool(verdict.reason == "too_late")  # type: ignore[comparison-overlap]  # pyright: ignore[reportUnnecessaryComparison]


async def decide(agent: Agent) -> None:
    await agent.propose("pause", "a@b.c")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await agent.propose("pause", "a@b.c", "why", electorate="all")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    proposal = await agent.propose("pause", "a@b.c", "why")
    await agent.vote(proposal, "approve")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await agent.vote(proposal.id, "maybe")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    outcome = await proposal.wait_for_decision()
    bool(outcome.status == "aproved")  # type: ignore[comparison-overlap]  # pyright: ignore[reportUnnecessaryComparison]


async def read_notifications(
    agent: Agent, notification: Notification, conflict: LeaseConflictError
) -> None:
    for _ in agent.notifications():  # type: ignore[attr-defined]  # pyright: ignore[reportGeneralTypeIssues]
        pass
    agent.notifications(after=notification)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    assert notification.sequence + "1"  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue]
    assert conflict.holder.agent_name  # type: ignore[union-attr]  # pyright: ignore[reportOptionalMemberAccess]
    agent.cursor = 17  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    await agent.update_config({"voice": 3.5})  # type: ignore[dict-item]  # pyright: ignore[reportArgumentType]


async def use_mail(agent: Agent) -> None:
    await agent.mail.send("bob", "Hello")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await agent.mail.send("bob", "Hello", "one", importance="very")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await agent.mail.reply(7, "one")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    agent.mail.incoming(kind="task")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
