"""`quorate lease run`: a program that runs while a contact is held, and not a moment longer.

* The program starts when the lease is ours, and the lease is given back when the program ends.
* A lease that is lost ends the program, and so does one that can no longer be renewed: it is asked
  to end while there is time, and killed before the service would give the contact to another.
* What is sent to us to end us is passed on to the program; its exit code is ours.
* Standard output belongs to the program: nothing of ours is ever printed there.
"""

import sys
from typing import TYPE_CHECKING

import click

from quorate.cli.connection.api import calling
from quorate.cli.connection.resolve import Service, TargetSources, called_service, who
from quorate.cli.options import agent_options, service_options
from quorate.cli.output.errors import CONFLICT, Failure, calls
from quorate.domain.coordination.leases import DURATION_MINUTES_MAX, DURATION_MINUTES_MIN

if TYPE_CHECKING:
    from quorate.client import LeaseConflict
    from quorate.domain.identity.agents import AgentRef

DURATION_MINUTES_DEFAULT = 5.0
WAIT_SECONDS_MAX = 86_400.0
KILL_AFTER_SECONDS_DEFAULT = 5.0
KILL_AFTER_SECONDS_MAX = 3_600.0
ROLE_DEFAULT = "general"
EPILOG = """
\b
Examples:
  quorate lease run lead@example.com --agent-name mailer -- \\
    printenv QUORATE_FENCE
  quorate lease run lead@example.com --agent-name mailer --wait 60 -- true

COMMAND finds QUORATE_LEASE_ID, QUORATE_FENCE, QUORATE_CONTACT, QUORATE_AGENT_ID and QUORATE_URL in
its environment; let it show the fence to the send gate before it acts. Two runs under one agent
name are one agent and share its lease: give each a name of its own to keep them apart.

\b
Exit codes:
  COMMAND's own; 128 + n where signal n ended it
  3 another agent holds the contact, or the lease was lost and COMMAND ended
  126 COMMAND cannot be started, 127 it does not exist
  1 error, 2 wrong use, 4 key refused, 5 not found, 6 unavailable
"""


@click.command("run", epilog=EPILOG)
@click.argument("contact")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@agent_options
@click.option("--intent", default="general", show_default=True, help="What for.")
@click.option(
    "--duration",
    type=click.FloatRange(DURATION_MINUTES_MIN, DURATION_MINUTES_MAX),
    default=DURATION_MINUTES_DEFAULT,
    show_default=True,
    help="Minutes that the lease lasts after each renewal; may be a fraction.",
)
@click.option(
    "--wait",
    type=click.FloatRange(0, WAIT_SECONDS_MAX),
    default=0.0,
    help="Seconds to wait for a contact that another agent holds. [default: don't wait]",
)
@click.option(
    "--kill-after",
    type=click.FloatRange(0, KILL_AFTER_SECONDS_MAX),
    default=KILL_AFTER_SECONDS_DEFAULT,
    show_default=True,
    help="Seconds from SIGTERM to SIGKILL when the lease is lost; fewer if it is a short one.",
)
@click.option("--nats-url", help="Hear of the lease over NATS, there, in place of HTTP.")
@service_options
def run(  # noqa: PLR0917 - click hands options over like this.
    where: TargetSources,
    contact: str,
    command: tuple[str, ...],
    agent_id: str | None,
    agent_name: str | None,
    intent: str,
    duration: float,
    wait: float,
    kill_after: float,
    nats_url: str | None,
) -> None:
    """Run COMMAND while holding a lease on CONTACT; end COMMAND if the lease is lost."""
    import asyncio

    from quorate.cli.lease_runner.runner import LeaseRunner, LeaseSpec, Lost
    from quorate.cli.lease_runner.subprocess import NOT_FOUND, NoSuchProgram, found
    from quorate.client import LeaseConflict

    try:
        path = found(command[0])
    except NoSuchProgram as missing:
        raise Failure(str(missing), NOT_FOUND) from missing
    service = called_service(where)
    name, role = _identity(where, service, who(service, agent_id, agent_name))
    wanted = LeaseSpec(
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
    with calls():
        try:
            code = asyncio.run(LeaseRunner(wanted, (path, *command[1:])).run())
        except LeaseConflict as conflict:
            raise Failure(_held(contact, conflict, waited=wait > 0), CONFLICT) from conflict
        except Lost as lost:
            raise Failure(str(lost), CONFLICT) from lost
    sys.exit(code)


def _identity(where: TargetSources, service: Service, meant: "AgentRef") -> tuple[str | None, str]:
    """The agent's name and role as they are: registering it again must not change them."""
    from quorate.client import requests
    from quorate.client.rejections import AgentNotFound

    with calling(where, service) as line:
        try:
            found = line.ask(requests.get_agent(line.ask(requests.heartbeat(meant)).agent_id))
        except AgentNotFound:
            if meant.id is not None:
                raise
            return meant.name, ROLE_DEFAULT
    return found.name, found.role


def _held(contact: str, conflict: "LeaseConflict", *, waited: bool) -> str:
    from quorate.cli.output.console import clock

    holder = conflict.holder
    by = f" by {holder.agent_name} until {clock(holder.expires_at)}" if holder else ""
    advice = "it was not given back in time" if waited else "--wait SECONDS waits for it"
    return f"{contact} is held{by}: {advice}"
