"""Valid uses of the synchronous SDK: `with` and no `await`. This program is never run."""

from datetime import datetime
from typing import Literal, assert_type

from quorate.client import (
    AgentInfo,
    ConsensusInfo,
    HeartbeatInfo,
    HolderInfo,
    LeaseConflictError,
    MailMessage,
    Notification,
    SendVerdict,
    SentInfo,
    VoteInfo,
)
from quorate.client.blocking import Agent, NotificationFeed, SpawnedTask, Task, Worker
from quorate.contracts.identity.agents import GET_AGENT
from quorate.contracts.sessions.task_models import TaskInfo


def connect() -> None:
    with Agent.connect("http://127.0.0.1:8420", "qk_key", name="ann", after=17) as agent:
        assert_type(agent, Agent)
        assert_type(agent.id, str)
        assert_type(agent.incarnation, int)
        assert_type(agent.is_active, bool)
        assert_type(agent.cursor, int)


def hold_lease(agent: Agent) -> int:
    try:
        with agent.lease("user@example.com", duration_minutes=5, wait_seconds=60) as lease:
            assert_type(lease.id, str)
            assert_type(lease.expires_at, datetime)
            assert_type(lease.is_held, bool)
            assert_type(lease.remaining_seconds, float)
            assert_type(lease.request_send(), SendVerdict)
            lease.renew()
            lease.release()
            return lease.fence
    except LeaseConflictError as conflict:
        assert_type(conflict.holder, HolderInfo | None)
        return 0


def decide(agent: Agent) -> None:
    proposal = agent.propose("pause outreach", "ceo@bigcorp.com", "fatigue is high", floor=0.5)
    assert_type(agent.vote(proposal.id, "reject"), VoteInfo)
    outcome = proposal.wait_for_decision(timeout_seconds=30)
    assert_type(outcome, ConsensusInfo)
    assert_type(outcome.status, Literal["pending", "approved", "rejected", "expired", "cancelled"])


def use_mail(agent: Agent) -> None:
    with agent.lease("kim@example.com") as lease:
        sent = agent.mail.send("kim@example.com", "Offer", "one", lease=lease)
        assert_type(sent, SentInfo)
    for message in agent.mail.incoming(since=0):
        assert_type(message, MailMessage)
        assert_type(agent.mail.reply(message.message_id, "one"), SentInfo)
    assert_type(agent.mail.request("bob", {"name": "Count"}), MailMessage)
    assert_type(agent.mail.gather([("bob", {})], timeout_seconds=None), list[MailMessage])
    assert_type([one.subject for one in agent.mail.iterate_thread("thr_1")], list[str])


def remaining_methods(agent: Agent) -> None:
    for notification in agent.notifications(after=agent.cursor):
        assert_type(notification, Notification)
    assert_type(agent.request_send("user@example.com", fence=7), SendVerdict)
    assert_type(agent.heartbeat(), HeartbeatInfo)
    assert_type(agent.update_config({"weekends": False}), dict[str, bool | str])
    assert_type(agent.get_config(), dict[str, bool | str])
    assert_type(agent.call(GET_AGENT, agent_id=agent.id), AgentInfo)


def follow() -> None:
    with NotificationFeed.open("http://127.0.0.1:8420", "qk_key", after=3) as feed:
        assert_type(feed, NotificationFeed)
        assert_type(feed.cursor, int)
        for notification in feed.notifications():
            assert_type(notification, Notification)


def hand_over(agent: Agent) -> None:
    spawned = agent.spawn("sort", preset="router", timeout_seconds=60)
    assert_type(spawned, SpawnedTask)
    assert_type(spawned.status(), TaskInfo)
    assert_type([info.percent for info in spawned.progress()], list[int | None])
    assert_type(spawned.result(timeout_seconds=5), str)
    assert_type(spawned.cancel().cancelled, bool)
    assert_type(agent.spawn.task("task_1").artifact("artifact_1"), bytes)
    assert_type(agent.spawn.list(status="running"), list[TaskInfo])


def work() -> None:
    with Worker.connect(presets=["router"], concurrency=2) as worker:

        @worker.task("router")
        def sort(task: Task) -> str:
            task.progress("reading", percent=50)
            assert_type(task.is_cancelled, bool)
            return task.ask("which?")

        assert_type(worker.agent, Agent)
        worker.run(grace_seconds=1)
