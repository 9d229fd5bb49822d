"""`quorate schedules`: turns of an agent that occur at times."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, get_args

import click

from quorate.cli.commands.agents import advice_for
from quorate.cli.connection.api import open_api
from quorate.cli.connection.resolve import TargetSources, resolve_agent, resolve_target
from quorate.cli.options import agent_options, json_option, quiet_option, service_options
from quorate.cli.output.console import (
    format_table_time,
    format_time,
    print_details,
    print_json,
    print_line,
    print_table,
)
from quorate.cli.output.errors import EXIT_CODES
from quorate.cli.parameter_types import IntegerRange
from quorate.domain.sessions.schedule_times import EVERY_SECONDS_MAX, EVERY_SECONDS_MIN
from quorate.domain.sessions.schedules import Missed

if TYPE_CHECKING:
    from quorate.contracts.sessions.schedules import ListedSchedule, ScheduleInfo, ScheduleResult

MISSED: tuple[Missed, ...] = get_args(Missed)
CREATED_BEFORE = """\
  schedule=$(quorate schedules create "Write the report" \\
    --every 300 --agent-name outreach-agent --quiet)
"""


def ask(
    sources: TargetSources,
    agent_id: str | None,
    agent_name: str | None,
    action: str,
    **fields: Any,  # noqa: ANN401 - fields of the input.
) -> "ScheduleResult":
    from quorate.client import schedule_requests

    service = resolve_target(sources)
    agent = resolve_agent(service, agent_id, agent_name)
    with open_api(sources, service, advice=advice_for(agent)) as api:
        return api.call(schedule_requests.schedule(agent, action, **fields))


def times_of(schedule: "ListedSchedule") -> str:
    times = schedule.schedule
    if "cron" in times:
        return f"{times['cron']} ({times['timezone']})"
    return f"every {times['every_seconds']} s" if "every_seconds" in times else str(times["at"])


def target_of(schedule: "ScheduleInfo") -> str:
    return schedule.session_key or f"preset {schedule.preset}"


def show(result: "ScheduleResult", *, as_json: bool, quiet: bool) -> None:
    schedule = result.schedule
    assert schedule is not None
    if quiet:
        print_line(schedule.id)
    elif as_json:
        print_json(result.raw)
    else:
        details = {
            "message": str(schedule.payload["message"]),
            "to": target_of(schedule),
            "next": "" if schedule.next_at is None else format_time(schedule.next_at),
            "paused": schedule.paused_reason or "",
            "fired": str(schedule.fired_count),
        }
        shown = {name: value for name, value in details.items() if value}
        print_details(f"{schedule.id}, {times_of(schedule)}: {schedule.status}.", shown)


@click.command(
    epilog="\n\b\nExamples:\n"
    + CREATED_BEFORE
    + """\
  quorate schedules create "Good morning" --agent-name outreach-agent \\
    --cron "0 9 * * 1-5" --timezone Europe/Berlin --missed skip
"""
    + EXIT_CODES
)
@click.argument("message")
@click.option("--cron", help="Five fields: minute hour day month weekday.")
@click.option("--timezone", help="Time zone of --cron, such as Europe/Berlin; by default UTC.")
@click.option(
    "--every",
    "every_seconds",
    type=IntegerRange(EVERY_SECONDS_MIN, EVERY_SECONDS_MAX),
    help="Seconds between occurrences.",
)
@click.option("--at", help="One time, such as 2030-03-01T12:00:00Z.")
@click.option("--name", help="A name for people.")
@click.option("--preset", help="Submit each turn as a task for the workers of this preset.")
@click.option("--session-key", help="The session; by default the main one of the agent.")
@click.option(
    "--missed",
    type=click.Choice(MISSED),
    default="one",
    show_default=True,
    help="Which occurrences fire after an outage.",
)
@agent_options
@service_options
@json_option
@quiet_option
def create(  # noqa: PLR0917 - click passes options as arguments.
    sources: TargetSources,
    message: str,
    cron: str | None,
    timezone: str | None,
    every_seconds: int | None,
    at: str | None,
    name: str | None,
    preset: str | None,
    session_key: str | None,
    missed: Missed,
    agent_id: str | None,
    agent_name: str | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Send MESSAGE to a session, or to workers, at times."""
    times = {"cron": cron, "timezone": timezone, "every_seconds": every_seconds, "at": at}
    result = ask(
        sources,
        agent_id,
        agent_name,
        "create",
        schedule={kind: value for kind, value in times.items() if value is not None},
        payload={"kind": "agentTurn", "message": message},
        name=name,
        preset=preset,
        session_key=session_key,
        missed=missed,
    )
    show(result, as_json=as_json, quiet=quiet)


@click.command(
    "list",
    epilog="""
\b
Example:
  quorate schedules list --agent-name outreach-agent
"""
    + EXIT_CODES,
)
@agent_options
@service_options
@json_option
@quiet_option
def list_schedules(
    sources: TargetSources,
    agent_id: str | None,
    agent_name: str | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """List the schedules of the agent, or of all agents."""
    found: list[ScheduleInfo] = []
    after: str | None = None
    while True:
        page = ask(sources, agent_id, agent_name, "list", after=after)
        found += page.schedules or ()
        after = page.next
        if after is None:
            break
    if quiet:
        for schedule in found:
            print_line(schedule.id)
    elif as_json:
        print_json([schedule.raw for schedule in found])
    else:
        columns = ("name", "occurs", "to", "status", "next (UTC)", "id")
        print_table("Schedules", columns, [_row(one) for one in found], wide=())


def _row(schedule: "ScheduleInfo") -> Sequence[str]:
    next_at = "" if schedule.next_at is None else format_table_time(schedule.next_at)
    to = target_of(schedule)
    return (schedule.name or "", times_of(schedule), to, schedule.status, next_at, schedule.id)


def _on_schedule(action: str, name: str, help_: str) -> click.Command:
    @click.command(
        name,
        help=help_,
        epilog="\n\b\nExample:\n"
        + CREATED_BEFORE
        + f'  quorate schedules {name} "$schedule" --agent-name outreach-agent\n'
        + EXIT_CODES,
    )
    @click.argument("schedule")
    @agent_options
    @service_options
    @json_option
    @quiet_option
    def command(  # noqa: PLR0917 - click passes options as arguments.
        sources: TargetSources,
        schedule: str,
        agent_id: str | None,
        agent_name: str | None,
        as_json: bool,
        quiet: bool,
    ) -> None:
        result = ask(sources, agent_id, agent_name, action, id=schedule)
        if action != "delete":
            show(result, as_json=as_json, quiet=quiet)
        elif as_json and not quiet:
            print_json(result.raw)
        elif not quiet:
            print_line(f"Deleted {schedule}.")

    return command


get = _on_schedule("get", "get", "Show a SCHEDULE.")
pause = _on_schedule("pause", "pause", "Pause a SCHEDULE.")
resume = _on_schedule("resume", "resume", "Continue a SCHEDULE with its next occurrence.")
run_now = _on_schedule("run_now", "run-now", "Fire a SCHEDULE now; its next occurrence stays.")
delete = _on_schedule("delete", "delete", "Delete a SCHEDULE.")
