"""`quorate worker`: run a command for each task of a preset.

Guarantees:

* A command runs while this worker has its task, and no longer: a task that is cancelled, or whose
  claim is lost, ends the command and all its descendants.
* A termination signal lets the running commands end; a second one ends them.
"""

from typing import TYPE_CHECKING

import click

from quorate.cli.connection.resolve import TargetSources, resolve_agent, resolve_target
from quorate.cli.options import agent_options, service_options
from quorate.cli.output.errors import EXIT_CODES, Failure, report_errors
from quorate.cli.parameter_types import Duration, IntegerRange

if TYPE_CHECKING:
    from quorate.cli.lease_runner.task_program import TaskProgram
    from quorate.client import Worker

CONCURRENCY_MAX = 64
CLAIM_SECONDS_MAX = 3_600.0
GRACE_SECONDS_MAX = 86_400.0
KILL_AFTER_SECONDS_DEFAULT, KILL_AFTER_SECONDS_MAX = 5.0, 3_600.0


@click.command(
    epilog="""
\b
Examples:
  quorate worker destination-router --agent-name router -- ./route.sh
  quorate worker - --agent-name echo -- jq -r .task

PRESET is - for tasks that name no preset. COMMAND gets the task as a JSON object on its standard
input. A line PROGRESS {"percent": 50, "message": "half"} on its standard output reports progress,
all other output is the result. Exit code 0 completes the task, 75 lets another attempt begin, any
other fails the task. When the task is cancelled, COMMAND gets SIGTERM.
"""
    + EXIT_CODES
)
@click.argument("preset")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@agent_options
@click.option(
    "--concurrency",
    type=IntegerRange(1, CONCURRENCY_MAX),
    default=1,
    show_default=True,
    help="How many tasks at a time.",
)
@click.option(
    "--claim",
    type=Duration("s", 1, CLAIM_SECONDS_MAX),
    default="60s",
    show_default=True,
    help="How soon another worker gets a task if this one dies.",
)
@click.option(
    "--grace",
    type=Duration("s", 0, GRACE_SECONDS_MAX),
    default="30s",
    show_default=True,
    help="How long running commands may take to end after a termination signal.",
)
@click.option(
    "--kill-after",
    type=Duration("s", 0, KILL_AFTER_SECONDS_MAX),
    default=f"{KILL_AFTER_SECONDS_DEFAULT:g}s",
    show_default=True,
    help="Time from SIGTERM to SIGKILL.",
)
@service_options
def worker(  # noqa: PLR0917 - click passes options as arguments.
    sources: TargetSources,
    preset: str,
    command: tuple[str, ...],
    agent_id: str | None,
    agent_name: str | None,
    concurrency: int,
    claim: float,
    grace: float,
    kill_after: float,
) -> None:
    """Run COMMAND for each task of PRESET."""
    import asyncio

    from quorate.cli.lease_runner.subprocess import NOT_FOUND, ProgramNotFoundError, find_program
    from quorate.cli.lease_runner.task_program import TaskProgram
    from quorate.client import Worker

    try:
        path = find_program(command[0])
    except ProgramNotFoundError as missing:
        raise Failure(str(missing), NOT_FOUND) from missing
    service = resolve_target(sources)
    acting = resolve_agent(service, agent_id, agent_name)

    async def work() -> None:
        async with Worker.connect(
            service.url,
            service.api_key,
            presets=(preset,),
            concurrency=concurrency,
            claim_seconds=round(claim),
            name=acting.name,
            nats_url="",
            stay=True,  # The agent may have been registered by other commands.
        ) as connected:
            program = TaskProgram(
                command=(path, *command[1:]),
                url=service.url,
                agent_id=connected.agent.id,
                kill_after_seconds=kill_after,
            )
            await _work(connected, preset, program, grace)

    with report_errors():
        asyncio.run(work())


async def _work(connected: "Worker", preset: str, program: "TaskProgram", grace: float) -> None:
    """Work until a signal; a second one ends the commands."""
    import asyncio
    import signal

    from quorate.runtime.signals import without_ignored

    connected.task(preset)(program.run)
    running = asyncio.ensure_future(connected.run(grace_seconds=grace))
    signalled = False

    def on_signal() -> None:
        nonlocal signalled
        if signalled:
            running.cancel()
        signalled = True
        connected.stop()

    loop = asyncio.get_running_loop()
    for number in without_ignored((signal.SIGINT, signal.SIGTERM, signal.SIGHUP)):
        loop.add_signal_handler(number, on_signal)
    click.echo(f"Working on tasks of {preset}.", err=True)
    await asyncio.wait({running})
    if not running.cancelled():
        running.result()
