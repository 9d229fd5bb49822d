"""Print events until a limit is reached: one line each, as text or as JSON.

A ``Source`` is the log of a tenant or the notifications of one agent. Both yield the same
``WatchedEvent``, so the rest of this module is common to both.
"""

import asyncio
import shutil
import signal
import sys
import textwrap
from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager, aclosing
from typing import Any, Literal, Protocol, TypeAlias

import click

from quorate.cli.audit.log_feed import LogFeed
from quorate.cli.output.agent_names import Names
from quorate.cli.output.console import print_json
from quorate.cli.output.event_text import date_and_time, describe
from quorate.client.notifications import NotificationFeed
from quorate.client.results import Notification
from quorate.domain.shared.records import record
from quorate.runtime.signals import without_ignored

END_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SEQUENCE_WIDTH = 6
NAME_WIDTH = len("consensus_requested")
CONTINUATION = " " * 6
EndReason: TypeAlias = Literal["count", "time", "signal"]


@record
class WatchedEvent:
    """One event or notification; ``raw`` is its JSON object from the service."""

    sequence: int
    time: str
    name: str
    details: Mapping[str, Any]
    raw: Mapping[str, Any]


class Source(Protocol):
    @property
    def cursor(self) -> int:
        """The sequence of the last event that was read, printed or not."""

    def events(self) -> AsyncGenerator[WatchedEvent, None]:
        """Yield events without end; raises RequestFailedError. Closing releases all resources."""


@record
class Limits:
    """When to stop, and which events to print; empty ``names`` select all events."""

    count: int | None
    seconds: float | None
    names: frozenset[str]


@record
class WatchResult:
    """Why and where printing ended; ``number`` is the number of the signal, if any."""

    by: EndReason
    shown: int
    cursor: int
    number: int = 0


class LogSource:
    """The whole log of a tenant."""

    def __init__(self, feed: LogFeed) -> None:
        self._feed = feed

    @property
    def cursor(self) -> int:
        return self._feed.cursor

    async def events(self) -> AsyncGenerator[WatchedEvent, None]:
        async with self._feed, aclosing(self._feed.events()) as events:
            async for event in events:
                yield WatchedEvent(
                    sequence=event["sequence"],
                    time=event["at"],
                    name=event["type"],
                    details=event["data"],
                    raw=event,
                )


class NotificationSource:
    """The notifications of one agent, read without acting as that agent."""

    def __init__(self, opening: AbstractAsyncContextManager[NotificationFeed]) -> None:
        self._opening = opening
        self.cursor = 0

    async def events(self) -> AsyncGenerator[WatchedEvent, None]:
        async with self._opening as feed:
            self.cursor = feed.cursor
            async for notification in feed.notifications():
                self.cursor = notification.sequence
                yield _from_notification(notification)


def _from_notification(notification: Notification) -> WatchedEvent:
    raw = notification.raw
    return WatchedEvent(
        sequence=notification.sequence,
        time=str(raw.get("time", "")),
        name=notification.name,
        details=raw["data"],
        raw=raw,
    )


class Display:
    """Print events as JSON lines or as text."""

    def __init__(self, names: Names, *, as_json: bool) -> None:
        self._names = names
        self._as_json = as_json
        is_terminal = sys.stdout.isatty()
        self._width = shutil.get_terminal_size().columns if is_terminal else None
        self.shown = 0

    def show(self, event: WatchedEvent) -> None:
        self.shown += 1
        if self._as_json:
            print_json(event.raw, one_line=True)
        else:
            click.echo(self._format(event))

    def _format(self, event: WatchedEvent) -> str:
        """Return one line; at a terminal, lines of its width with an indentation."""
        sequence = f"#{event.sequence}".ljust(SEQUENCE_WIDTH)
        prefix = f"{date_and_time(event.time)}  {sequence}  "
        name = f"{event.name:<{NAME_WIDTH}}"
        description = describe(event.name, event.details, self._names)
        lines = wrap_line(f"{prefix}{name}  {description}", self._width)
        styled = click.style(name, dim=True)
        lines[0] = lines[0].replace(f"{prefix}{name}", f"{prefix}{styled}", 1)
        return "\n".join(lines)


def wrap_line(line: str, width: int | None) -> list[str]:
    """Break a line between words; a word that is too long for the width stays whole."""
    if width is None or len(line) <= width:
        return [line]
    return textwrap.wrap(
        line,
        width,
        subsequent_indent=CONTINUATION,
        replace_whitespace=False,
        break_long_words=False,
        break_on_hyphens=False,
    )


async def watch_until(source: Source, limits: Limits, display: Display) -> WatchResult:
    """Print until the count, the time or a signal ends it; raises RequestFailedError."""
    loop = asyncio.get_running_loop()
    received: list[signal.Signals] = []
    printing = asyncio.create_task(_print(source, limits, display))

    def on_signal(number: signal.Signals) -> None:
        received.append(number)
        printing.cancel()

    for number in without_ignored(END_SIGNALS):
        loop.add_signal_handler(number, on_signal, number)
    try:
        done, _ = await asyncio.wait({printing}, timeout=limits.seconds)
        if not done:
            printing.cancel()
            await asyncio.wait({printing})
    finally:
        for number in without_ignored(END_SIGNALS):
            loop.remove_signal_handler(number)
    if printing.cancelled():
        by: EndReason = "signal" if received else "time"
        ended_by = int(received[0]) if received else 0
        return WatchResult(by=by, shown=display.shown, cursor=source.cursor, number=ended_by)
    printing.result()
    return WatchResult(by="count", shown=display.shown, cursor=source.cursor)


async def _print(source: Source, limits: Limits, display: Display) -> None:
    async with aclosing(source.events()) as events:
        async for event in events:
            if limits.names and event.name not in limits.names:
                continue
            display.show(event)
            if display.shown == limits.count:
                return
