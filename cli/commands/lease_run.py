"""`quorate lease run`: run a command while holding a lease.

Guarantees:

* The command starts after the lease is acquired; the lease is released when the command ends.
* If the lease is lost, or cannot be renewed, the command is terminated: SIGTERM first, SIGKILL
  before the service can give the contact to another agent.
* Termination signals are forwarded to the command, and its exit code is returned.
* Standard output belongs to the command: this program prints nothing to it.
"""

import sys
from typing import TYPE_CHECKING

import click

from quorate.cli.commands.agents import advice_for
from quorate.cli.commands.leases import intent_option
from quorate.cli.connection.api import open_api
from quorate.cli.connection.resolve import Service, TargetSources, resolve_agent, resolve_target
from quorate.cli.options import agent_options, service_options
from quorate.cli.output.errors import CONFLICT, Failure, report_errors
from quorate.cli.parameter_types import Duration
from quorate.domain.coordination.leases import (
    DURATION_MINUTES_MAX,
    DURATION_MINUTES_MIN,
)
from quorate.domain.identity.agents import ROLE_DEFAULT

if TYPE_CHECKING:
    from quorate.client import LeaseConflictError
    from quorate.domain.identity.agents import AgentRef

DURATION_MINUTES_DEFAULT = 5.0
WAIT_SECONDS_MAX = 86_400.0
KILL_AFTER_SECONDS_DEFAULT = 5.0
KILL_AFTER_SECONDS_MAX = 3_600.0
EPILOG = """
\b
Examples:
  quorate lease run lead@example.com --agent-name mailer -- \\
    printenv QUORATE_FENCE
  quorate lease run lead@example.com --agent-name mailer --wait 60s -- true

COMMAND gets QUORATE_LEASE_ID, QUORATE_FENCE, QUORATE_CONTACT, QUORATE_AGENT_ID and QUORATE_URL in
its environment; it should pass the fencing token to the send gate before it acts. Two runs exclude
each other, also with the same agent name.

\b
Exit codes:
  that of COMMAND; 128 + n if signal n ended it
  3 another agent holds the contact, or the lease was lost and COMMAND
    was terminated
  126 COMMAND cannot be started, 127 COMMAND not found
  1 error, 2 usage error, 4 key rejected, 5 not found, 6 unavailable
"""


@click.command("run", epilog=EPILOG)
@click.argument("contact")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@agent_options
@intent_option
@click.option(
    "--duration",
    type=Duration("m", DURATION_MINUTES_MIN, DURATION_MINUTES_MAX),
    default=f"{DURATION_MINUTES_DEFAULT:g}m",
    show_default=True,
    help="How long the lease lasts after each renewal, e.g. 90s or 5m; a plain number means "
    "minutes.",
)
@click.option(
    "--wait",
    type=Duration("s", 0, WAIT_SECONDS_MAX),
    default=0.0,
    help="How long to wait while another agent holds the contact, e.g. 60s or 5m; a plain number "
    "means seconds. [default: do not wait]",
)
@click.option(
    "--kill-after",
    type=Duration("s", 0, KILL_AFTER_SECONDS_MAX),
    default=f"{KILL_AFTER_SECONDS_DEFAULT:g}s",
    show_default=True,
    help="Time from SIGTERM to SIGKILL when the lease is lost, at most a quarter of the lease; a "
    "plain number means seconds.",
)
@click.option("--nats-url", help="NATS URL: receive lease notifications over NATS instead of HTTP.")
@service_options
def run(  # noqa: PLR0917 - click passes options as arguments.
    sources: TargetSources,
    contact: str,
    command: tuple[str, ...],
    agent_id: str | None,
    agent_name: str | None,
    intent: str | None,
    duration: float,
    wait: float,
    kill_after: float,
    nats_url: str | None,
) -> None:
    """Run COMMAND while holding a lease on CONTACT; terminate COMMAND if the lease is lost."""
    import asyncio

    from quorate.cli.connection.validation import require_valid
    from quorate.cli.lease_runner.runner import LeaseRunner, LeaseSpec, RunAborted
    from quorate.cli.lease_runner.subprocess import NOT_FOUND, ProgramNotFoundError, find_program
    from quorate.client import LeaseConflictError, requests

    try:
        path = find_program(command[0])
    except ProgramNotFoundError as missing:
        raise Failure(str(missing), NOT_FOUND) from missing
    service = resolve_target(sources)
    acting_agent = resolve_agent(service, agent_id, agent_name)
    require_valid(
        requests.acquire_lease(acting_agent, contact, intent=intent, duration_minutes=duration)
    )
    name, role = _identity(sources, service, acting_agent)
    spec = LeaseSpec(
        url=service.url,
        api_key=service.api_key,
        nats_url=nats_url,
        agent_name=name,
        agent_role=role,
        contact=contact,
        intent=intent,
        duration_minutes=duration,
        wait_seconds=wait,
        kill_after_seconds=kill_after,
    )
    with report_errors(advice=_advice(acting_agent)):
        try:
            code = asyncio.run(LeaseRunner(spec, (path, *command[1:])).run())
        except LeaseConflictError as conflict:
            message, hint = _describe_conflict(contact, conflict, waited=wait > 0)
            raise Failure(message, CONFLICT, hint) from conflict
        except RunAborted as aborted:
            raise Failure(str(aborted), CONFLICT) from aborted
    sys.exit(code)


def _advice(acting_agent: "AgentRef") -> dict[str, str]:
    """Return the advice per problem code: without a name, the registration is invalid."""
    advice = advice_for(acting_agent)
    if acting_agent.id is None and acting_agent.name is None:
        advice["invalid_request"] = advice["agent_not_found"]
    return advice


def _identity(
    sources: TargetSources, service: Service, acting_agent: "AgentRef"
) -> tuple[str | None, str]:
    """Return the current name and role of the agent: registration must not change them.

    An agent that is not registered yet gets the default role.
    """
    from quorate.client import requests
    from quorate.client.rejections import AgentNotFoundError

    with open_api(sources, service) as api:
        try:
            found = api.call(
                requests.get_agent(api.call(requests.heartbeat(acting_agent)).agent_id)
            )
        except AgentNotFoundError:
            if acting_agent.id is not None:
                raise
            return acting_agent.name, ROLE_DEFAULT
    return found.name, found.role


def _describe_conflict(
    contact: str, conflict: "LeaseConflictError", *, waited: bool
) -> tuple[str, str]:
    from quorate.cli.output.console import format_time

    holder = conflict.holder
    by = f" by {holder.agent_name} until {format_time(holder.expires_at)}" if holder else ""
    hint = "it was not released in time" if waited else "wait for it with --wait 60s"
    return f"{contact} is leased{by}", hint
