"""`quorate spawn`: hand tasks to workers, and follow them."""

import sys
from typing import TYPE_CHECKING, Any

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
from quorate.cli.output.errors import CONFLICT, EXIT_CODES, Failure
from quorate.cli.parameter_types import Duration, IntegerRange

if TYPE_CHECKING:
    from quorate.contracts.sessions.task_models import TaskInfo
    from quorate.domain.identity.agents import AgentRef

WAIT_SECONDS_MAX = 7 * 86_400.0
POLL_WAIT_SECONDS = 20.0
LIST_MAX = 50
STATUSES = ("running", "completed", "failed", "cancelled")
SUBMITTED = """
\b
Examples:
  task=$(quorate spawn run "Add 2 and 3" --agent-name outreach-agent \\
    --no-wait --quiet)
"""
STATUS_EXAMPLE = '  quorate spawn status "$task" --agent-name outreach-agent\n'


@click.command(
    "run",
    epilog=SUBMITTED
    + STATUS_EXAMPLE
    + "\nExit code 3: the task failed or was cancelled.\n"
    + EXIT_CODES,
)
@click.argument("task")
@agent_options
@click.option("--preset", help="Whose workers do it. [default: those of tasks without a preset]")
@click.option("--background", help="What the worker should know besides the task.")
@click.option("--model", help="Handed to the worker unchanged.")
@click.option("--active-tool", "active_tools", multiple=True, help="A tool that the run sees.")
@click.option("--tool-choice", help="auto, any, none, or the name of a tool.")
@click.option(
    "--timeout",
    type=Duration("s", 1, WAIT_SECONDS_MAX),
    help="How long the task may take. [default: that of the preset, else 5m]",
)
@click.option("--no-wait", is_flag=True, help="Print the id of the task, and do not wait.")
@service_options
@json_option
@quiet_option
def run(  # noqa: PLR0917 - click passes options as arguments.
    sources: TargetSources,
    agent_id: str | None,
    agent_name: str | None,
    task: str,
    preset: str | None,
    background: str | None,
    model: str | None,
    active_tools: tuple[str, ...],
    tool_choice: str | None,
    timeout: float | None,
    no_wait: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Hand TASK to a worker, and print its result."""
    from quorate.client import task_requests

    service = resolve_target(sources)
    acting = resolve_agent(service, agent_id, agent_name)
    is_tool = tool_choice not in {None, "auto", "any", "none"}
    request = task_requests.spawn(
        acting,
        task,
        preset=preset,
        context=background,
        model=model,
        active_tools=list(active_tools) or None,
        tool_choice={"type": "tool", "name": tool_choice} if is_tool else tool_choice,
        timeout_seconds=None if timeout is None else round(timeout),
    )
    with open_api(sources, service, advice=advice_for(acting)) as api:
        spawned = api.call(request)
        if no_wait:
            if quiet:
                print_line(spawned.task_id)
            elif as_json:
                print_json(spawned.raw)
            else:
                print_line(f"Task {spawned.task_id} was handed over.")
            return
        found = _wait(api, acting, spawned.task_id, WAIT_SECONDS_MAX)
    _print_result(found, as_json=as_json)


@click.command(epilog=SUBMITTED + STATUS_EXAMPLE + EXIT_CODES)
@click.argument("task_id", metavar="TASK")
@agent_options
@service_options
@json_option
def status(
    sources: TargetSources,
    agent_id: str | None,
    agent_name: str | None,
    task_id: str,
    as_json: bool,
) -> None:
    """Print the progress of TASK."""
    from quorate.client import task_requests

    service = resolve_target(sources)
    acting = resolve_agent(service, agent_id, agent_name)
    with open_api(sources, service, advice=advice_for(acting)) as api:
        found = api.call(task_requests.status(acting, task_id))
    if as_json:
        print_json(found.raw)
        return
    done = "" if found.percent is None else f" ({found.percent} %)"
    details = {
        "state": found.state,
        "preset": found.preset or "-",
        "attempt": f"{found.attempt} of {found.max_attempts}",
        "worker": found.worker_id or "-",
        "started": format_time(found.started_at),
        "message": found.message or "-",
        "error": found.error or "-",
    }
    print_details(f"Task {found.task_id}: {found.status}{done}", details)


@click.command(
    epilog=SUBMITTED
    + """\
  quorate spawn result "$task" --agent-name outreach-agent --json ||
    echo "There is no result yet."

Exit code 3: the task failed, was cancelled, or still runs.
"""
    + EXIT_CODES
)
@click.argument("task_id", metavar="TASK")
@agent_options
@click.option(
    "--wait",
    type=Duration("s", 0, WAIT_SECONDS_MAX),
    default=0.0,
    help="How long to wait for the end, e.g. 60s or 5m. [default: do not wait]",
)
@service_options
@json_option
def result(  # noqa: PLR0917 - click passes options as arguments.
    sources: TargetSources,
    agent_id: str | None,
    agent_name: str | None,
    task_id: str,
    wait: float,
    as_json: bool,
) -> None:
    """Print the result of TASK."""
    service = resolve_target(sources)
    acting = resolve_agent(service, agent_id, agent_name)
    with open_api(sources, service, advice=advice_for(acting)) as api:
        found = _wait(api, acting, task_id, wait)
    _print_result(found, as_json=as_json)


@click.command(
    "list",
    epilog="""
\b
Examples:
  quorate spawn list --agent-name outreach-agent
  quorate spawn list --agent-name outreach-agent --status running --quiet
"""
    + EXIT_CODES,
)
@agent_options
@click.option("--status", type=click.Choice(STATUSES), help="Only tasks with this status.")
@click.option(
    "--limit",
    type=IntegerRange(1, LIST_MAX),
    default=20,
    show_default=True,
    help="How many tasks, the newest first.",
)
@service_options
@json_option
@quiet_option
def list_tasks(  # noqa: PLR0917 - click passes options as arguments.
    sources: TargetSources,
    agent_id: str | None,
    agent_name: str | None,
    status: str | None,
    limit: int,
    as_json: bool,
    quiet: bool,
) -> None:
    """List the agent's own tasks."""
    from quorate.client import task_requests

    service = resolve_target(sources)
    acting = resolve_agent(service, agent_id, agent_name)
    with open_api(sources, service, advice=advice_for(acting)) as api:
        page = api.call(task_requests.list_tasks(acting, status=status, limit=limit))
    if quiet:
        for one in page.tasks:
            print_line(one.task_id)
        return
    if as_json:
        print_json([one.raw for one in page.tasks])
        return
    rows = [
        (
            one.task_id,
            one.status,
            one.preset or "-",
            format_table_time(one.started_at),
            (one.task or "").splitlines()[0] if one.task else "-",
        )
        for one in page.tasks
    ]
    print_table("Tasks", ("Task", "Status", "Preset", "Started", "Text"), rows)


@click.command(
    epilog=SUBMITTED + '  quorate spawn cancel "$task" --agent-name outreach-agent\n' + EXIT_CODES
)
@click.argument("task_id", metavar="TASK")
@agent_options
@service_options
@json_option
def cancel(
    sources: TargetSources,
    agent_id: str | None,
    agent_name: str | None,
    task_id: str,
    as_json: bool,
) -> None:
    """Cancel TASK; its worker gets a notification."""
    from quorate.client import task_requests

    service = resolve_target(sources)
    acting = resolve_agent(service, agent_id, agent_name)
    with open_api(sources, service, advice=advice_for(acting)) as api:
        found = api.call(task_requests.cancel(acting, task_id))
    if as_json:
        print_json(found.raw)
        return
    what = "was cancelled" if found.cancelled else f"had ended: {found.status}"
    print_line(f"Task {task_id} {what}.")


def _wait(
    api: Any,  # noqa: ANN401 - an ApiClient.
    acting: "AgentRef",
    task_id: str,
    seconds: float,
) -> "TaskInfo":
    """Return the task at its end, or as it is when the time is over."""
    import time

    from quorate.client import task_requests

    until = time.monotonic() + seconds
    found: TaskInfo = api.call(task_requests.get(acting, task_id))
    while found.finished_at is None and (left := until - time.monotonic()) > 0:
        wait = min(left, POLL_WAIT_SECONDS)
        request = task_requests.get(acting, task_id, wait_seconds=wait, after=found.version)
        found = api.call(request, timeout_seconds=2 * POLL_WAIT_SECONDS)
    return found


def _print_result(found: "TaskInfo", *, as_json: bool) -> None:
    if as_json:
        print_json(found.raw)
        if found.status != "completed":
            sys.exit(CONFLICT)
        return
    if found.status != "completed":
        what = "still runs" if found.finished_at is None else f"{found.status}: {found.error}"
        raise Failure(f"Task {found.task_id} {what}", CONFLICT)
    print_line(found.text or "")
