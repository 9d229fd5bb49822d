"""What a demo has shown, in numbers that can be checked and in words.

What the service recorded comes from its log; whether holds overlapped comes from the agents' own
clock. ``held_up`` is false when the one thing that must never happen has happened.
"""

from collections.abc import Iterator, Sequence
from math import ceil
from typing import Any

from quorate.cli.demo.fleet import SILENT, Fleet, Stage, overlapping
from quorate.cli.demo.scene import Scene, VoteSeen
from quorate.domain.shared.records import record

LABEL_WIDTH = 20
TROUBLES_SHOWN_MAX = 5


@record
class Lapse:
    """How many seconds after the crash it was noticed, and who had the contact how soon then."""

    seconds: float
    heir: str | None
    passed_on_seconds: float | None


@record
class Summary:
    seconds: float
    window_seconds: float
    events: int
    grants: int
    conflicts: int
    sends_blocked: int
    holds: int
    overlaps: int
    vote: VoteSeen | None
    lapse: Lapse | None
    lapses: bool  # Whether one could be shown at all.
    troubles: Sequence[str]

    @property
    def held_up(self) -> bool:
        return self.overlaps == 0

    @property
    def wire(self) -> dict[str, Any]:
        """For programs."""
        lapse, vote = self.lapse, self.vote
        return {
            "seconds": self.seconds,
            "heartbeatWindowSeconds": self.window_seconds,
            "events": self.events,
            "grants": self.grants,
            "conflicts": self.conflicts,
            "sendsBlocked": self.sends_blocked,
            "holds": self.holds,
            "overlappingHolds": self.overlaps,
            "vote": vote
            and {"action": vote.action, "status": vote.outcome or "pending", "votes": vote.votes},
            "lapse": lapse
            and {
                "agentName": SILENT,
                "seconds": lapse.seconds,
                "heir": lapse.heir,
                "passedOnSeconds": lapse.passed_on_seconds,
            },
            "troubles": list(self.troubles),
        }

    @property
    def lines(self) -> Iterator[str]:
        """For people."""
        rows = (
            ("leases", f"{self.grants} granted, {self.conflicts} refused while another held it"),
            ("send gate", f"{self.sends_blocked} blocked: not the holder"),
            ("overlapping holds", f"{self.overlaps} among {self.holds}, by the agents' own clock"),
            ("vote", f"{self.vote.action}: {self.vote.result or 'pending'}" if self.vote else ""),
            ("crash", self._crash()),
            ("its contact", self._passed_on()),
            ("log", f"{self.events} events, their hash chain is whole"),
            *(("trouble", trouble) for trouble in self.troubles[:TROUBLES_SHOWN_MAX]),
        )
        for label, words in rows:
            if words:
                yield f"{label:<{LABEL_WIDTH}}{words}"

    def _crash(self) -> str:
        if not self.lapses:
            return (
                f"not shown: a heartbeat is good for {self.window_seconds:g} s here; "
                "--temporary shows it"
            )
        if self.lapse is None:
            return f"{SILENT} did not lapse in time"
        return f"{SILENT} was killed, and lapsed {self.lapse.seconds:.1f} s later"

    def _passed_on(self) -> str:
        if self.lapse is None or self.lapse.passed_on_seconds is None:
            return ""
        soon = ceil(1000 * self.lapse.passed_on_seconds) or 1
        return f"{self.lapse.heir}, who waited for it, had it within {soon} ms"


def summed_up(
    scene: Scene, fleet: Fleet, stage: Stage, *, events: int, clocks_differ: float
) -> Summary:
    return Summary(
        seconds=round(fleet.elapsed, 1),
        window_seconds=stage.window_seconds,
        events=events,
        grants=scene.counts["LeaseAcquired"],
        conflicts=scene.counts["LeaseConflicted"],
        sends_blocked=scene.counts["SendBlocked"],
        holds=len(fleet.holds),
        overlaps=len(overlapping(fleet.holds)),
        vote=scene.vote,
        lapse=_lapse(scene, fleet, clocks_differ),
        lapses=stage.lapses,
        troubles=fleet.troubles,
    )


def _lapse(scene: Scene, fleet: Fleet, clocks_differ: float) -> Lapse | None:
    lapsed_at = scene.lapsed_at.get(SILENT)
    if lapsed_at is None or fleet.crashed_at is None:
        return None
    heir, after = scene.inherited or (None, None)
    seconds = max(0.0, lapsed_at + clocks_differ - fleet.crashed_at)
    return Lapse(
        seconds=round(seconds, 2),
        heir=heir,
        passed_on_seconds=None if after is None else round(after, 3),
    )
