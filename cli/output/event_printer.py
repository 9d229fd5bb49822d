"""Showing what happens until enough was seen: one line each, in words or as it came.

What is watched is a ``Source``: a tenant's log, or the notifications of one agent. Both tell the same
way, so that everything else is the same for both.
"""

import asyncio
import signal
from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager, aclosing
from typing import Any, Literal, Protocol, TypeAlias

import click
import orjson

from quorate.cli.audit.log_feed import LogFeed
from quorate.cli.output.event_text import Names, moment, told
from quorate.client.notifications import NotificationFeed
from quorate.client.results import Notification
from quorate.domain.shared.records import record

ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SEQUENCE_WIDTH = 6
NAME_WIDTH = len("consensus_requested")
By: TypeAlias = Literal["count", "time", "signal"]


@record
class Seen:
    """One event or notification; ``raw`` is it as the service said it."""

    sequence: int
    time: str
    name: str
    facts: Mapping[str, Any]
    raw: Mapping[str, Any]


class Source(Protocol):
    @property
    def cursor(self) -> int:
        """The sequence up to which everything was seen, also what was not shown."""

    def seen(self) -> AsyncGenerator[Seen, None]:
        """One after the other, without an end; raises CallFailed. Closing it lets go of all."""


@record
class Limits:
    """How much is enough; ``names`` that are empty leave nothing out."""

    count: int | None
    seconds: float | None
    names: frozenset[str]


@record
class Ending:
    """``number`` is the signal's, where one ended it."""

    by: By
    shown: int
    cursor: int
    number: int = 0


class LogSource:
    """A tenant's whole log."""

    def __init__(self, feed: LogFeed) -> None:
        self._feed = feed

    @property
    def cursor(self) -> int:
        return self._feed.cursor

    async def seen(self) -> AsyncGenerator[Seen, None]:
        async with self._feed, aclosing(self._feed.events()) as events:
            async for event in events:
                yield Seen(
                    sequence=event["sequence"],
                    time=event["at"],
                    name=event["type"],
                    facts=event["data"],
                    raw=event,
                )


class NotificationSource:
    """What one agent hears, without being that agent."""

    def __init__(self, opening: AbstractAsyncContextManager[NotificationFeed]) -> None:
        self._opening = opening
        self.cursor = 0

    async def seen(self) -> AsyncGenerator[Seen, None]:
        async with self._opening as feed:
            self.cursor = feed.cursor
            async for notification in feed.notifications():
                self.cursor = notification.sequence
                yield _of_notification(notification)


def _of_notification(notification: Notification) -> Seen:
    raw = notification.raw
    if notification.is_gap:  # Not an event, so it has no CloudEvent of its own.
        raw = {"type": "quorate.gap", "sequence": notification.sequence, "data": notification.data}
    return Seen(
        sequence=notification.sequence,
        time=str(raw.get("time", "")),
        name=notification.name,
        facts=notification.data,
        raw=raw,
    )


class Display:
    """Prints what was seen: JSON lines for programs, else lines of words."""

    def __init__(self, names: Names, *, as_json: bool) -> None:
        self._names = names
        self._as_json = as_json
        self.shown = 0

    def show(self, seen: Seen) -> None:
        self.shown += 1
        if self._as_json:
            click.echo(orjson.dumps(seen.raw))
        else:
            click.echo(self._line(seen))

    def _line(self, seen: Seen) -> str:
        sequence = f"#{seen.sequence}".ljust(SEQUENCE_WIDTH)
        name = click.style(f"{seen.name:<{NAME_WIDTH}}", dim=True)
        return (
            f"{moment(seen.time)}  {sequence}  {name}  {told(seen.name, seen.facts, self._names)}"
        )


async def watch_until(source: Source, limits: Limits, display: Display) -> Ending:
    """Show until it was enough, time is over or a signal comes; raises CallFailed."""
    loop = asyncio.get_running_loop()
    came: list[signal.Signals] = []
    showing = asyncio.create_task(_show(source, limits, display))

    def on_signal(number: signal.Signals) -> None:
        came.append(number)
        showing.cancel()

    for number in ENDS:
        loop.add_signal_handler(number, on_signal, number)
    try:
        done, _ = await asyncio.wait({showing}, timeout=limits.seconds)
        if not done:
            showing.cancel()
            await asyncio.wait({showing})
    finally:
        for number in ENDS:
            loop.remove_signal_handler(number)
    if showing.cancelled():
        by: By = "signal" if came else "time"
        ended_by = int(came[0]) if came else 0
        return Ending(by=by, shown=display.shown, cursor=source.cursor, number=ended_by)
    showing.result()
    return Ending(by="count", shown=display.shown, cursor=source.cursor)


async def _show(source: Source, limits: Limits, display: Display) -> None:
    async with aclosing(source.seen()) as seen_one_by_one:
        async for seen in seen_one_by_one:
            if limits.names and seen.name not in limits.names:
                continue
            display.show(seen)
            if display.shown == limits.count:
                return
