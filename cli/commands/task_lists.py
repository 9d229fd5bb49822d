"""`quorate tasks`: task lists that agents share."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from quorate.cli.commands.agents import advice_for
from quorate.cli.connection.api import open_api
from quorate.cli.connection.resolve import TargetSources, resolve_agent, resolve_target
from quorate.cli.options import agent_options, json_option, quiet_option, service_options
from quorate.cli.output.console import (
    format_table_time,
    print_details,
    print_json,
    print_line,
    print_table,
)
from quorate.cli.output.errors import EXIT_CODES
from quorate.cli.parameter_types import IntegerRange
from quorate.domain.sessions.list_items import STATUSES
from quorate.domain.sessions.task_lists import LIST_ID_DEFAULT

if TYPE_CHECKING:
    from quorate.contracts.sessions.task_lists import ListTask, TaskListResult

F = TypeVar("F", bound=Callable[..., Any] | click.Command)
VERSION_MAX = 2**31 - 1
CREATED_BEFORE = """\
  task=$(quorate tasks create "Write the report" \\
    --agent-name outreach-agent --quiet)
"""
list_option = click.option(
    "--list", "list_id", default=LIST_ID_DEFAULT, show_default=True, help="Id of the list."
)
version_option = click.option(
    "--expected-version",
    type=IntegerRange(1, VERSION_MAX),
    help="Change the task only in this version.",
)
blocker_option = click.option(
    "--blocked-by", multiple=True, help="Number of a task that must be completed before."
)


def ask(
    sources: TargetSources,
    agent_id: str | None,
    agent_name: str | None,
    action: str,
    **fields: Any,  # noqa: ANN401 - fields of the input.
) -> "TaskListResult":
    from quorate.client import list_requests

    service = resolve_target(sources)
    agent = resolve_agent(service, agent_id, agent_name)
    with open_api(sources, service, advice=advice_for(agent)) as api:
        return api.call(list_requests.task_list(agent, action, **fields))


def show(result: "TaskListResult", *, as_json: bool, quiet: bool) -> None:
    """Print the task of a result, or its id."""
    task = result.task
    if as_json and not quiet:
        print_json(result.raw)
    elif task is None:
        print_line("There is no such task.")
    elif quiet:
        print_line(task.item_id)
    else:
        details = {
            "description": task.description,
            "owner": task.owner or "",
            "blocked by": ", ".join(task.blocked_by),
            "version": str(task.version),
            "item id": task.item_id,
        }
        shown = {name: value for name, value in details.items() if value}
        print_details(f"{task.list_id}/{task.id} {task.subject}: {task.status}.", shown)


def done(result: "TaskListResult", text: str, *, as_json: bool, quiet: bool) -> None:
    if as_json and not quiet:
        print_json(result.raw)
    elif not quiet:
        print_line(text)


@click.command(
    epilog="\n\b\nExamples:\n"
    + CREATED_BEFORE
    + """\
  quorate tasks create "Check it" --description "All figures." \\
    --list review --agent-name outreach-agent
"""
    + EXIT_CODES
)
@click.argument("subject")
@click.option("--description", default="", help="What is to be done.")
@blocker_option
@list_option
@agent_options
@service_options
@json_option
@quiet_option
def create(  # noqa: PLR0917 - click passes options as arguments.
    sources: TargetSources,
    subject: str,
    description: str,
    blocked_by: Sequence[str],
    list_id: str,
    agent_id: str | None,
    agent_name: str | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Add a task with this SUBJECT to a list."""
    fields = {"description": description, "blocked_by": list(blocked_by), "list_id": list_id}
    result = ask(sources, agent_id, agent_name, "create", subject=subject, **fields)
    show(result, as_json=as_json, quiet=quiet)


@click.command(
    "list",
    epilog="""
\b
Examples:
  quorate tasks list
  quorate tasks list --list default --status pending
"""
    + EXIT_CODES,
)
@click.option("--list", "list_id", help="Id of a list; by default all lists.")
@click.option("--status", type=click.Choice(STATUSES), help="Only tasks with this status.")
@agent_options
@service_options
@json_option
@quiet_option
def list_tasks(  # noqa: PLR0917 - click passes options as arguments.
    sources: TargetSources,
    list_id: str | None,
    status: str | None,
    agent_id: str | None,
    agent_name: str | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """List tasks, by list and number."""
    found: list[ListTask] = []
    after: str | None = None
    while True:
        fields = {"list_id": list_id, "status": status, "after": after}
        page = ask(sources, agent_id, agent_name, "list", **fields)
        found += page.tasks or ()
        after = page.next
        if after is None:
            break
    if quiet:
        for task in found:
            print_line(task.item_id)
    elif as_json:
        print_json([task.raw for task in found])
    else:
        columns = ("list", "task", "status", "owner", "subject", "updated (UTC)", "id")
        print_table("Tasks", columns, [_row(task) for task in found])


def _row(task: "ListTask") -> Sequence[str]:
    updated = format_table_time(task.updated_at)
    owner = task.owner or ""
    return (task.list_id, task.id, task.status, owner, task.subject, updated, task.item_id)


@click.command(
    epilog="""
\b
Example:
  quorate tasks lists
"""
    + EXIT_CODES
)
@agent_options
@service_options
@json_option
def lists(
    sources: TargetSources, agent_id: str | None, agent_name: str | None, as_json: bool
) -> None:
    """Print the ids of the task lists."""
    result = ask(sources, agent_id, agent_name, "list_lists")
    if as_json:
        print_json(result.raw)
    else:
        for one in result.list_ids or ():
            print_line(one)


def _unchanged(command: F) -> F:
    return command


def _on_task(action: str, help_: str, *, has_version: bool = True) -> click.Command:
    """Make a command on one TASK that needs nothing else."""
    name = action.replace("_", "-")

    @click.command(
        name,
        help=help_ + "\n\nTASK is the number of a task in a list, or its item id.",
        epilog="\n\b\nExample:\n"
        + CREATED_BEFORE
        + ('  quorate tasks claim "$task" --agent-name outreach-agent\n' * (action == "release"))
        + f'  quorate tasks {name} "$task" --agent-name outreach-agent\n'
        + EXIT_CODES,
    )
    @click.argument("task")
    @list_option
    @(version_option if has_version else _unchanged)
    @agent_options
    @service_options
    @json_option
    @quiet_option
    def command(  # noqa: PLR0917 - click passes options as arguments.
        sources: TargetSources,
        task: str,
        list_id: str,
        agent_id: str | None,
        agent_name: str | None,
        as_json: bool,
        quiet: bool,
        expected_version: int | None = None,
    ) -> None:
        fields = {"id": task, "list_id": list_id, "expected_version": expected_version}
        result = ask(sources, agent_id, agent_name, action, **fields)
        if action == "delete":
            done(result, f"Deleted {task}.", as_json=as_json, quiet=quiet)
        else:
            show(result, as_json=as_json, quiet=quiet)

    return command


get = _on_task("get", "Show a task.", has_version=False)
claim = _on_task("claim", "Claim a pending task for the agent.")
release = _on_task("release", "Make a claimed task pending again.")
delete = _on_task("delete", "Delete a task.")


@click.command(
    epilog="\n\b\nExample:\n"
    + CREATED_BEFORE
    + """\
  quorate tasks claim "$task" --agent-name outreach-agent
  quorate tasks complete "$task" --agent-name outreach-agent
"""
    + EXIT_CODES
)
@click.argument("task")
@list_option
@version_option
@agent_options
@service_options
@json_option
@quiet_option
def complete(  # noqa: PLR0917 - click passes options as arguments.
    sources: TargetSources,
    task: str,
    list_id: str,
    expected_version: int | None,
    agent_id: str | None,
    agent_name: str | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Complete a TASK that the agent has claimed."""
    fields = {"id": task, "list_id": list_id, "expected_version": expected_version}
    result = ask(sources, agent_id, agent_name, "update", status="completed", **fields)
    show(result, as_json=as_json, quiet=quiet)


@click.command(
    epilog="\n\b\nExample:\n"
    + CREATED_BEFORE
    + """\
  quorate tasks update "$task" --subject "Write and send it" \\
    --owner retention-agent --agent-name outreach-agent
"""
    + EXIT_CODES
)
@click.argument("task")
@click.option("--subject", help="The new subject.")
@click.option("--description", help="The new description.")
@click.option("--owner", help="Hand the task over to the agent with this name.")
@blocker_option
@list_option
@version_option
@agent_options
@service_options
@json_option
@quiet_option
def update(  # noqa: PLR0917 - click passes options as arguments.
    sources: TargetSources,
    task: str,
    subject: str | None,
    description: str | None,
    owner: str | None,
    blocked_by: Sequence[str],
    list_id: str,
    expected_version: int | None,
    agent_id: str | None,
    agent_name: str | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Change the subject, the description, the owner or the blockers of a TASK."""
    fields: dict[str, Any] = {
        "id": task,
        "list_id": list_id,
        "expected_version": expected_version,
        "subject": subject,
        "description": description,
        "owner": owner,
        "blocked_by": list(blocked_by) or None,
    }
    result = ask(sources, agent_id, agent_name, "update", **fields)
    show(result, as_json=as_json, quiet=quiet)


def _on_list(action: str, name: str, help_: str, text: str) -> click.Command:
    example = (
        "  quorate tasks follow --list empty --agent-name outreach-agent\n"
        if name == "delete-list"
        else ""
    )

    @click.command(
        name,
        help=help_,
        epilog=f"\n\b\nExample:\n  quorate tasks follow --agent-name outreach-agent\n{example}"
        f"  quorate tasks {name} {'--list empty ' if example else ''}"
        f"--agent-name outreach-agent\n{EXIT_CODES}",
    )
    @list_option
    @agent_options
    @service_options
    @json_option
    @quiet_option
    def command(  # noqa: PLR0917 - click passes options as arguments.
        sources: TargetSources,
        list_id: str,
        agent_id: str | None,
        agent_name: str | None,
        as_json: bool,
        quiet: bool,
    ) -> None:
        result = ask(sources, agent_id, agent_name, action, list_id=list_id)
        done(result, f"{text} {list_id}.", as_json=as_json, quiet=quiet)

    return command


follow = _on_list(
    "follow", "follow", "Have the agent notified of each change of a list.", "Follows"
)
unfollow = _on_list("unfollow", "unfollow", "Do not follow a list any more.", "Does not follow")
delete_list = _on_list("delete", "delete-list", "Delete an empty list.", "Deleted the list")
