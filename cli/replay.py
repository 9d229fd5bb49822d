"""`quorate replay`: what an exported log says, folded with the domain's own rules and nothing else.

Who held what, who was active and how each vote stood, at the last event or at any moment before.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, BinaryIO, NamedTuple

import click

from quorate.cli.failures import Failure
from quorate.cli.options import json_option
from quorate.cli.output import name_of, print_json, progress
from quorate.domain.instants import Instant, instant
from quorate.domain.situation import Situation, Touched

EVENTS_BETWEEN_PROGRESS = 1_000
EVENTS_BETWEEN_CLEARINGS = 50_000
EPILOG = """
\b
Examples:
  quorate events export log.jsonl
  quorate replay log.jsonl
  quorate replay log.jsonl --until 2
  quorate replay log.jsonl --until 2030-01-01T00:00:00Z --json
"""


class Until(NamedTuple):
    """The last event to look at, or the time to stop at; neither is the end of the file."""

    sequence: int | None = None
    at: Instant | None = None

    def covers(self, sequence: int, at: Instant) -> bool:
        if self.sequence is not None:
            return sequence <= self.sequence
        return self.at is None or at <= self.at


class History(NamedTuple):
    """One tenant as its log tells it up to ``sequence``, to be judged at ``at``."""

    situation: Situation
    sequence: int
    at: Instant


def _until(_ctx: click.Context, _param: click.Parameter, value: str | None) -> Until:
    if value is None:
        return Until()
    if value.isascii() and value.isdigit():
        return Until(sequence=int(value))
    try:
        return Until(at=instant(value))
    except ValueError:
        why = "it is a sequence, as in 1234, or a time with its offset, as in 2026-03-01T12:00:00Z."
        raise click.BadParameter(why) from None


@click.command(epilog=EPILOG)
@click.argument("file", type=click.File("rb"))
@click.option(
    "--until", metavar="SEQUENCE|TIME", callback=_until, help="Stop there, and judge by then."
)
@click.option(
    "--verify/--no-verify", default=True, help="Check the chain on the way (the default)."
)
@json_option
def replay(file: BinaryIO, until: Until, verify: bool, as_json: bool) -> None:
    """Tell from an exported log who held what, who was active, and how each vote stood.

    The file is all that is asked: no service, no database. Leases and activity are judged at the
    time of --until, or of the last event.
    """
    from quorate.cli import standing
    from quorate.eventlog.exported import BeginsLate, Damaged

    try:
        with progress("Replaying") as advance:
            history = fold(_events(file, verify), until, lambda done: advance(done, None))
    except Damaged as damage:
        raise Failure(f"{name_of(file)} is damaged at {damage}") from damage
    except BeginsLate as late:
        begins = f"{name_of(file)} begins with event {late.sequence}"
        raise Failure(f"{begins}, and a replay needs all events from the first") from late
    found = standing.standing(history)
    if as_json:
        print_json(found)
    else:
        standing.print_tables(found)


def _events(file: BinaryIO, verify: bool) -> Iterator[dict[str, Any]]:
    from quorate.eventlog.exported import links, unchecked

    return (link.event for link in links(file)) if verify else unchecked(file)


def fold(
    events: Iterable[dict[str, Any]],
    until: Until,
    progress: Callable[[int], None] = lambda _: None,
) -> History:
    """The situation after the last event that ``until`` covers; reads, and so checks, all."""
    situation = Situation()
    sequence, at = 0, until.at
    for count, event in enumerate(events, start=1):
        if count % EVENTS_BETWEEN_PROGRESS == 0:
            progress(count)
        recorded_at = _time(event)
        if until.covers(event["sequence"], recorded_at):
            _apply(event, recorded_at, situation)
            sequence = event["sequence"]
            at = recorded_at if until.at is None else until.at
        if count % EVENTS_BETWEEN_CLEARINGS == 0:
            _forget_ended(situation)
    if until.sequence is not None and sequence != until.sequence:
        raise Failure(f"There is no event {until.sequence}: the file ends with event {sequence}")
    if at is None:
        raise Failure("The file holds no events")
    return History(situation=situation, sequence=sequence, at=at)


def _time(event: dict[str, Any]) -> Instant:
    try:
        return instant(event["at"])
    except ValueError as error:
        raise Failure(f"Event {event['sequence']} bears no time that can be read") from error


def _apply(event: dict[str, Any], at: Instant, situation: Situation) -> None:
    from quorate.eventlog.codec import UnknownEvent, read

    try:
        situation.apply(read(event["type"], event["version"], event["data"]), at)
    except UnknownEvent as error:
        raise Failure(f"Event {event['sequence']}: {error}") from error
    except (AssertionError, LookupError, TypeError, ValueError) as error:
        what = f"Event {event['sequence']}, {event['type']},"
        raise Failure(f"{what} does not follow from the events before it") from error


def _forget_ended(situation: Situation) -> None:
    """No later event can change an ended lease, and nobody asks for it here."""
    for lease_id in situation.touched.leases:
        if situation.leases[lease_id].status != "active":
            del situation.leases[lease_id]
    situation.touched = Touched()
