"""Summary of a demo, as numbers and as text.

The counts come from the event log of the service; the overlaps come from the local clock of the
agents. ``passed`` is false if two agents held one contact at the same time, or if the task was
completed more than once.
"""

from collections.abc import Iterator, Sequence
from math import ceil
from typing import Any

from quorate.cli.demo.fleet import Fleet, find_overlaps
from quorate.cli.demo.parts import missing_parts
from quorate.cli.demo.scene import ProposalView, Scene
from quorate.cli.demo.script import CRASHING_AGENT, CRASHING_WORKER, DemoConfig
from quorate.domain.shared.records import record

LABEL_WIDTH = 20
TROUBLES_SHOWN_MAX = 5


@record
class AgentTimeout:
    """Seconds from the crash to the timeout, the new holder, and seconds until it had the lease."""

    seconds: float
    successor: str | None
    reacquired_seconds: float | None


@record
class MailCounts:
    """Messages, and seconds from the delegated task to its result if there was one."""

    sent: int
    blocked: int
    task_seconds: float | None


@record
class TaskOutcome:
    """The task whose first worker was killed; ``seconds``: from that until it was completed."""

    status: str
    attempts: int
    completions: int
    worker: str | None  # The last one.
    seconds: float | None


@record
class Summary:
    seconds: float
    window_seconds: float
    events: int
    grants: int
    conflicts: int
    sends_blocked: int
    mail: MailCounts
    task: TaskOutcome | None
    holds: int
    overlaps: int
    vote: ProposalView | None
    timeout: AgentTimeout | None
    shows_timeout: bool  # Whether the demo was long enough to show one.
    troubles: Sequence[str]

    @property
    def passed(self) -> bool:
        return self.overlaps == 0 and (self.task is None or self.task.completions <= 1)

    @property
    def wire(self) -> dict[str, Any]:
        """The summary as JSON."""
        timeout, vote, task = self.timeout, self.vote, self.task
        return {
            "seconds": self.seconds,
            "heartbeatWindowSeconds": self.window_seconds,
            "events": self.events,
            "grants": self.grants,
            "conflicts": self.conflicts,
            "sendsBlocked": self.sends_blocked,
            "mail": {
                "sent": self.mail.sent,
                "blocked": self.mail.blocked,
                "taskSeconds": self.mail.task_seconds,
            },
            "task": task
            and {
                "status": task.status,
                "attempts": task.attempts,
                "completions": task.completions,
                "crashedWorker": CRASHING_WORKER,
                "worker": task.worker,
                "seconds": task.seconds,
            },
            "holds": self.holds,
            "overlappingHolds": self.overlaps,
            "vote": vote
            and {"action": vote.action, "status": vote.outcome or "pending", "votes": vote.votes},
            "lapse": timeout
            and {
                "agentName": CRASHING_AGENT,
                "seconds": timeout.seconds,
                "heir": timeout.successor,
                "passedOnSeconds": timeout.reacquired_seconds,
            },
            "troubles": list(self.troubles),
        }

    @property
    def lines(self) -> Iterator[str]:
        """The summary as text."""
        rows = (
            (
                "leases",
                f"{self.grants} granted, {self.conflicts} rejected: another agent held the contact",
            ),
            ("send gate", f"{self.sends_blocked} blocked: not the holder"),
            (
                "overlapping leases",
                f"{self.overlaps} of {self.holds}, by the local clock of the agents",
            ),
            (
                "proposal",
                f"{self.vote.action}: {self.vote.result or 'pending'}" if self.vote else "",
            ),
            ("mail", self._describe_mail()),
            ("task", self._describe_task()),
            ("crash", self._describe_crash()),
            ("its contact", self._describe_successor()),
            ("log", f"{self.events} events, hash chain verified"),
            *(("trouble", trouble) for trouble in self.troubles[:TROUBLES_SHOWN_MAX]),
        )
        for label, words in rows:
            if words:
                yield f"{label:<{LABEL_WIDTH}}{words}"

    def _describe_mail(self) -> str:
        if self.mail.task_seconds is None:
            return ""
        milliseconds = ceil(1000 * self.mail.task_seconds)
        blocked = f"{self.mail.blocked} blocked: another agent held the contact"
        return f"a task and its result in {milliseconds} ms; {blocked}"

    def _describe_task(self) -> str:
        task = self.task
        if task is None:
            return ""
        if task.seconds is None:
            return f"{task.status}, attempt {task.attempts}"
        times = "once" if task.completions == 1 else f"{task.completions} times"
        return (
            f"completed {times}, by {task.worker} in attempt {task.attempts}, "
            f"{task.seconds:.1f} s after {CRASHING_WORKER} was killed"
        )

    def _describe_crash(self) -> str:
        if not self.shows_timeout:
            return (
                f"not shown: the heartbeat window is {self.window_seconds:g} s; "
                "use --temporary to see it"
            )
        if self.timeout is None:
            return f"{CRASHING_AGENT} did not time out during the demo"
        return f"{CRASHING_AGENT} was killed, and timed out {self.timeout.seconds:.1f} s later"

    def _describe_successor(self) -> str:
        if self.timeout is None or self.timeout.reacquired_seconds is None:
            return ""
        milliseconds = ceil(1000 * self.timeout.reacquired_seconds) or 1
        return (
            f"{self.timeout.successor}, which waited for it, acquired it within {milliseconds} ms"
        )


def summarize(
    scene: Scene, fleet: Fleet, config: DemoConfig, *, events: int, clock_offset: float
) -> Summary:
    return Summary(
        seconds=round(fleet.clock.elapsed, 1),
        window_seconds=config.window_seconds,
        events=events,
        grants=scene.counts["LeaseAcquired"],
        conflicts=scene.counts["LeaseConflicted"],
        sends_blocked=scene.counts["SendBlocked"],
        mail=MailCounts(
            sent=scene.counts["MessageSent"],
            blocked=scene.counts["MessageBlocked"],
            task_seconds=fleet.delegation.task_seconds,
        ),
        task=_measure_task(scene, fleet, clock_offset),
        holds=len(fleet.holds),
        overlaps=len(find_overlaps(fleet.holds)),
        vote=scene.vote,
        timeout=_measure_timeout(scene, fleet, clock_offset),
        shows_timeout=config.shows_timeout,
        troubles=_list_troubles(scene, fleet, config),
    )


def _list_troubles(scene: Scene, fleet: Fleet, config: DemoConfig) -> Sequence[str]:
    missing = ", ".join(missing_parts(scene, fleet))
    seconds = config.seconds_max
    return [*fleet.troubles, *([f"not shown within {seconds:g} s: {missing}"] if missing else [])]


def _measure_task(scene: Scene, fleet: Fleet, clock_offset: float) -> TaskOutcome | None:
    task, crashed_at = scene.task, fleet.worker_crash.crashed_at
    if task is None:
        return None
    seconds = None
    if task.completions and task.ended_at is not None and crashed_at is not None:
        seconds = round(max(0.0, task.ended_at + clock_offset - crashed_at), 2)
    return TaskOutcome(
        status=task.status,
        attempts=task.attempts,
        completions=task.completions,
        worker=task.workers[-1] if task.workers else None,
        seconds=seconds,
    )


def _measure_timeout(scene: Scene, fleet: Fleet, clock_offset: float) -> AgentTimeout | None:
    timed_out_at = scene.timed_out_at.get(CRASHING_AGENT)
    if timed_out_at is None or fleet.lease_crash.crashed_at is None:
        return None
    successor, after = scene.reacquired or (None, None)
    seconds = max(0.0, timed_out_at + clock_offset - fleet.lease_crash.crashed_at)
    return AgentTimeout(
        seconds=round(seconds, 2),
        successor=successor,
        reacquired_seconds=None if after is None else round(after, 3),
    )
