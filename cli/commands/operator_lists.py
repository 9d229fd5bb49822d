"""Lists of all agents of a tenant, for operators: tasks, sessions, task lists and schedules.

These commands need the key of a tenant or an auditor.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, get_args

import click

from quorate.cli.commands.agents import print_lines
from quorate.cli.commands.schedules import times_of
from quorate.cli.connection.api import open_api
from quorate.cli.connection.resolve import TargetSources, resolve_target
from quorate.cli.options import (
    as_of_option,
    json_option,
    limit_option,
    quiet_option,
    service_options,
)
from quorate.cli.output.console import format_table_time, print_json, print_table
from quorate.cli.output.errors import EXIT_CODES
from quorate.domain.sessions.list_items import Status

if TYPE_CHECKING:
    from quorate.client.request_builder import Request
    from quorate.contracts.sessions.operator_lists import ListedSession
    from quorate.contracts.sessions.schedules import ListedSchedule
    from quorate.contracts.sessions.task_lists import ListTask
    from quorate.contracts.sessions.task_models import TaskInfo

STATES = ("open", "submitted", "working", "input_required", "ended", "dead")
Command = TypeVar("Command", bound=Callable[..., Any])
T = TypeVar("T")


def _examples(*lines: str) -> str:
    title = "Example" if len(lines) == 1 else "Examples"
    return f"\n\b\n{title}:\n" + "".join(f"  {line}\n" for line in lines) + EXIT_CODES


def _list_options(command: Command) -> Command:
    for decorate in (quiet_option, json_option, limit_option, service_options):
        command = decorate(command)
    return command


def _read(
    sources: TargetSources, page: "Callable[[str | None, int], Request[list[T]]]", limit: int
) -> list[T]:
    with open_api(sources, resolve_target(sources)) as api:
        return api.list_all(page, limit)


def _print(  # noqa: PLR0917 - the parts of a list.
    title: str,
    columns: Sequence[str],
    found: Sequence[Any],
    row: Callable[[Any], Sequence[str]],
    as_json: bool,
    quiet: bool,
) -> None:
    """Print a table whose last column is the id."""
    if as_json and not quiet:
        print_json([one.raw for one in found])
        return
    rows = [row(one) for one in found]
    if quiet:
        print_lines([one[-1] for one in rows])
    else:
        print_table(title, columns, rows, wide=())


@click.command(
    "list-any",
    epilog=_examples(
        "quorate spawn list-any", "quorate spawn list-any --state dead --limit 10 --json"
    ),
)
@click.option(
    "--state",
    type=click.Choice(STATES),
    default="open",
    show_default=True,
    help="Which tasks; open and ended mean several states.",
)
@_list_options
@as_of_option
def list_tasks(
    sources: TargetSources,
    state: Any,  # noqa: ANN401 - a TaskSelection.
    limit: int,
    as_json: bool,
    quiet: bool,
) -> None:
    """List the tasks of all agents in a state: the oldest first, or the newest that ended."""
    from quorate.client import task_requests

    found = _read(
        sources,
        lambda after, length: task_requests.list_by_state(state, after=after, limit=length),
        limit,
    )
    columns = ("state", "attempt", "preset", "worker", "claim ends (UTC)", "text", "id")
    _print("Tasks", columns, found, _task_row, as_json, quiet)


def _first_line(text: str | None) -> str:
    lines = (text or "").splitlines()
    return lines[0] if lines else "-"


def _task_row(task: "TaskInfo") -> Sequence[str]:
    ends = task.claim_expires_at
    return (
        task.state,
        f"{task.attempt} of {task.max_attempts}",
        task.preset or "-",
        task.worker_id or "-",
        "-" if ends is None else format_table_time(ends),
        _first_line(task.task),
        task.task_id,
    )


@click.command(
    "list-any",
    epilog=_examples("quorate sessions list-any", "quorate sessions list-any --filter main"),
)
@click.option("--filter", "part", help="Part of the key or the label, in any case.")
@_list_options
@as_of_option
def list_sessions(
    sources: TargetSources, part: str | None, limit: int, as_json: bool, quiet: bool
) -> None:
    """List the sessions of all agents, the last changed one first."""
    from quorate.client import session_requests

    found = _read(
        sources,
        lambda after, length: session_requests.list_all_sessions(part, after=after, limit=length),
        limit,
    )
    columns = ("changed (UTC)", "messages", "unread", "last message", "key")
    _print("Sessions", columns, found, _session_row, as_json, quiet)


def _session_row(session: "ListedSession") -> Sequence[str]:
    last = session.last_message
    return (
        format_table_time(session.updated_at),
        str(session.message_count),
        str(session.unread),
        "-" if last is None else _first_line(last.text),
        session.key,
    )


@click.command(
    "list-any",
    epilog=_examples("quorate tasks list-any", "quorate tasks list-any --status in_progress"),
)
@click.option("--list", "list_id", help="Only tasks of this list.")
@click.option("--status", type=click.Choice(get_args(Status)), help="Only tasks with this status.")
@_list_options
@as_of_option
def list_items(  # noqa: PLR0917 - click passes options as arguments.
    sources: TargetSources,
    list_id: str | None,
    status: Status | None,
    limit: int,
    as_json: bool,
    quiet: bool,
) -> None:
    """List the tasks of all task lists, by list and number."""
    from quorate.client import list_requests

    found = _read(
        sources,
        lambda after, length: list_requests.list_all_items(
            list_id, status=status, after=after, limit=length
        ),
        limit,
    )
    columns = ("list", "number", "status", "owner", "blocked by", "subject", "id")
    _print("Tasks of lists", columns, found, _item_row, as_json, quiet)


def _item_row(item: "ListTask") -> Sequence[str]:
    blockers = ", ".join(item.blocked_by) or "-"
    owner = item.owner or "-"
    return (item.list_id, item.id, item.status, owner, blockers, item.subject, item.item_id)


@click.command("list-any", epilog=_examples("quorate schedules list-any"))
@_list_options
@as_of_option
def list_schedules(sources: TargetSources, limit: int, as_json: bool, quiet: bool) -> None:
    """List the schedules of all agents, in the order of their creation."""
    from quorate.client import schedule_requests

    found = _read(
        sources,
        lambda after, length: schedule_requests.list_all_schedules(after=after, limit=length),
        limit,
    )
    columns = ("name", "agent", "occurs", "status", "next (UTC)", "id")
    _print("Schedules", columns, found, _schedule_row, as_json, quiet)


def _schedule_row(schedule: "ListedSchedule") -> Sequence[str]:
    next_at = "-" if schedule.next_at is None else format_table_time(schedule.next_at)
    name = schedule.name or "-"
    return (name, schedule.agent_id, times_of(schedule), schedule.status, next_at, schedule.id)
