"""The page of a process that does nothing, with parts that a test may set, and how to read it."""

from collections.abc import Iterator
from typing import cast

from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from quorate.application.request_metrics import Tallies
from quorate.application.subscriptions import Subscriptions
from quorate.bus.auth.callout import ACCEPTED, REFUSED, SECONDS
from quorate.eventlog.command_bus import CommandBus
from quorate.eventlog.commit_feed import CommitFeed
from quorate.eventlog.metrics import DoorTally, Histogram
from quorate.server.leader_election import LeaderTasks
from quorate.server.metrics import Metrics


class _Commits:
    head = 7
    seconds_unheard = 0.25


class _Door:
    waiting = 0
    damage: str | None = None

    def __init__(self) -> None:
        self.tally = DoorTally()


class _Leader:
    leads = True


class _Push:
    connected_keys = 3
    mirror_state: str | None = "following"
    lag: int | None = 2

    def __init__(self) -> None:
        self.login_seconds = {outcome: Histogram(SECONDS) for outcome in (ACCEPTED, REFUSED)}

    def is_connected(self) -> bool:
        return True

    def mirror(self) -> str | None:
        return self.mirror_state

    def behind(self, head: int) -> int | None:
        assert head == _Commits.head
        return self.lag


class Watched:
    """``now`` is a clock that stands still until the test moves it."""

    def __init__(self) -> None:
        self.now = 100.0
        self.tallies, self.door, self.push, self.tails = (
            Tallies(),
            _Door(),
            _Push(),
            Subscriptions(),
        )
        self.metrics = Metrics(
            tallies=self.tallies,
            door=cast("CommandBus", self.door),
            commits=cast("CommitFeed", _Commits()),
            push=self.push,
            tails=self.tails,
            leader=cast("LeaderTasks", _Leader()),
            monotonic=lambda: self.now,
        )

    def samples(self) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
        return samples(self.metrics.page().decode())


def families(page: str) -> Iterator[Metric]:
    yield from text_string_to_metric_families(page)


def samples(page: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Every number by its name and labels; none may stand there twice."""
    found: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}
    for family in families(page):
        for sample in family.samples:
            key = (sample.name, frozenset(sample.labels.items()))
            assert key not in found, key
            found[key] = sample.value
    return found


def labelled(name: str, **labels: str) -> tuple[str, frozenset[tuple[str, str]]]:
    return name, frozenset(labels.items())
