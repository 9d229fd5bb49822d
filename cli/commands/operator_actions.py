"""Actions of operators on what belongs to any agent of a tenant: each has a reason, in the log.

They need a tenant key, or with ``--as-operator`` the admin key. Each says what will happen and asks
for confirmation, unless ``--yes`` is given.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from quorate.cli.commands.consensus import PROPOSING
from quorate.cli.commands.leases import ACQUIRING
from quorate.cli.commands.mail_operators import open_as_operator, operator_options
from quorate.cli.commands.schedules import CREATED_BEFORE
from quorate.cli.commands.spawn import SUBMITTED
from quorate.cli.connection.resolve import TargetSources
from quorate.cli.output.console import print_json, print_line
from quorate.cli.output.errors import EXIT_CODES

if TYPE_CHECKING:
    from quorate.contracts.operations import AnyOperation

EXAMPLES = "\n\b\nExamples:\n"
AGENT = """\
  agent=$(quorate agents register support-agent --quiet)
"""


def _action(
    name: str,
    subject: str,
    effect: str,
    find_operation: Callable[[], "AnyOperation"],
    *,
    examples: str,
    help_text: str,
    parameter: str | None = None,
) -> click.Command:
    """Make the command of one action; ``effect`` says what happens, before the question.

    ``parameter`` is the id in the path, if it is not named like the subject.
    """

    @click.command(name, help=help_text, epilog=examples + EXIT_CODES)
    @click.argument("id_", metavar=subject.upper())
    @click.option("--reason", required=True, help="Why, for the event log.")
    @click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
    @operator_options
    def command(  # noqa: PLR0917 - click passes options as arguments.
        sources: TargetSources,
        id_: str,
        reason: str,
        yes: bool,
        tenant: str | None,
        as_operator: bool,
        as_json: bool,
        quiet: bool,
    ) -> None:
        if not yes:
            click.echo(effect.format(id=id_), err=True)
            click.confirm("Continue?", abort=True, err=True)
        ids = {parameter or f"{subject}_id": id_}
        with open_as_operator(sources, tenant, as_operator=as_operator) as operator:
            found: Any = operator.call(find_operation(), {"reason": reason}, **ids)
        if quiet:
            print_line(id_)
        elif as_json:
            print_json(found.raw)
        else:
            state = getattr(found, "state", None) or found.status
            print_line(f"The {subject} {id_} is {state}.")

    return command


def _end_lease() -> "AnyOperation":
    from quorate.contracts.coordination.leases import END_LEASE

    return END_LEASE


def _end_consensus() -> "AnyOperation":
    from quorate.contracts.coordination.consensus import END_CONSENSUS

    return END_CONSENSUS


def _deactivate_agent() -> "AnyOperation":
    from quorate.contracts.identity.agents import DEACTIVATE_AGENT

    return DEACTIVATE_AGENT


def _cancel_task() -> "AnyOperation":
    from quorate.contracts.sessions.tasks import CANCEL_TASK

    return CANCEL_TASK


def _requeue_task() -> "AnyOperation":
    from quorate.contracts.sessions.tasks import REQUEUE_TASK

    return REQUEUE_TASK


def _pause_schedule() -> "AnyOperation":
    from quorate.contracts.sessions.schedules import PAUSE_SCHEDULE

    return PAUSE_SCHEDULE


def _resume_schedule() -> "AnyOperation":
    from quorate.contracts.sessions.schedules import RESUME_SCHEDULE

    return RESUME_SCHEDULE


end_lease = _action(
    "end",
    "lease",
    "The lease {id} ends now. Its holder is notified and may not contact the person any more; the "
    "agents that wait for the contact are notified too.",
    _end_lease,
    examples=EXAMPLES + ACQUIRING + '  quorate lease end "$lease" --yes --reason "Kim objected"\n',
    help_text="""End the lease LEASE (its id) of any agent, as an operator.

    Its status becomes revoked, and its fence is stale. A lease that has ended stays as it is. Needs
    a tenant key, or --as-operator.
    """,
)
end_proposal = _action(
    "end",
    "proposal",
    "The proposal {id} is cancelled. Its voters are notified, and no vote on it counts any more.",
    _end_consensus,
    parameter="consensus_id",
    examples=EXAMPLES
    + PROPOSING
    + '  quorate proposals end "$proposal" --yes --reason "The contact was removed"\n',
    help_text="""Cancel the pending proposal PROPOSAL (its id) of any agent, as an operator.

    A proposal that is decided stays as it is, and the command fails. Needs a tenant key, or
    --as-operator.
    """,
)
deactivate_agent = _action(
    "deactivate",
    "agent",
    "The agent {id} becomes inactive now. Its leases and claims end, and it counts in no "
    "electorate of active agents until its next heartbeat.",
    _deactivate_agent,
    examples=EXAMPLES
    + AGENT
    + '  quorate agents deactivate "$agent" --yes --reason "It repeats itself"\n',
    help_text="""Mark the agent AGENT (its id) inactive, as an operator.

    Its leases and claims end as after a missed heartbeat. Its next heartbeat or registration makes
    it active again: revoke its key to keep it out. Needs a tenant key, or --as-operator.
    """,
)
cancel_task = _action(
    "cancel-any",
    "task",
    "The task {id} is cancelled, and the tasks that are nested in it. Its worker must stop.",
    _cancel_task,
    examples=SUBMITTED + '  quorate spawn cancel-any "$task" --yes --reason "Out of date"\n',
    help_text="""Cancel the task TASK of any agent, as an operator.

    The agent that handed it over and its worker are notified. A task that has ended stays as it is.
    Needs a tenant key, or --as-operator.
    """,
)
requeue_task = _action(
    "requeue",
    "task",
    "The task {id} is taken from its worker and offered again. Reports of the worker are rejected.",
    _requeue_task,
    examples=SUBMITTED + '  quorate spawn requeue "$task" --yes --reason "The worker hangs"\n',
    help_text="""Take the task TASK from its worker and offer it again, as an operator.

    The attempt does not count, and the next claim has a higher fence. A task that no worker has
    stays as it is. Needs a tenant key, or --as-operator.
    """,
)
pause_schedule = _action(
    "pause-any",
    "schedule",
    "The schedule {id} does not occur until it is resumed.",
    _pause_schedule,
    examples=EXAMPLES
    + CREATED_BEFORE
    + '  quorate schedules pause-any "$schedule" --yes --reason "Too many reports"\n',
    help_text="""Pause the schedule SCHEDULE of any agent, as an operator.

    Occurrences of a paused schedule do not exist. A schedule that is not active stays as it is.
    Needs a tenant key, or --as-operator.
    """,
)
resume_schedule = _action(
    "resume-any",
    "schedule",
    "The schedule {id} continues with its next occurrence from now on.",
    _resume_schedule,
    examples=EXAMPLES
    + CREATED_BEFORE
    + '  quorate schedules resume-any "$schedule" --yes --reason "Fixed"\n',
    help_text="""Resume the paused schedule SCHEDULE of any agent, as an operator.

    A schedule that is not paused stays as it is. Needs a tenant key, or --as-operator.
    """,
)
