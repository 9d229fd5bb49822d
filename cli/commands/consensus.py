"""`quorate agents consensus`: asking the active agents, voting, and how a vote stands."""

from typing import TYPE_CHECKING

import click

from quorate.cli.commands.agents import advice_for, names_by_id, say_each
from quorate.cli.connection.api import ApiClient, calling
from quorate.cli.connection.resolve import TargetSources, called_service, who
from quorate.cli.options import (
    LISTED_MAX,
    Minutes,
    agent_options,
    json_option,
    limit_option,
    quiet_option,
    service_options,
)
from quorate.cli.output.console import clock, print_facts, print_json, print_table, say, table_clock
from quorate.cli.output.errors import EXIT_CODES
from quorate.domain.coordination.consensus import (
    TIMEOUT_MINUTES_DEFAULT,
    TIMEOUT_MINUTES_MAX,
    TIMEOUT_MINUTES_MIN,
    Choice,
    Electorate,
    Status,
)

if TYPE_CHECKING:
    from quorate.client.results import ConsensusInfo, VoteInfo

STATUSES: tuple[Status, ...] = ("pending", "approved", "rejected", "expired")
CHOICES: tuple[Choice, ...] = ("approve", "reject")
ELECTORATES: tuple[Electorate, ...] = ("live", "snapshot")
PROPOSING = """\
  proposal=$(quorate agents consensus create --agent-name outreach-agent \\
    --action "pause outreach" --contact-email ceo@bigcorp.com \\
    --reason "Fatigue scores are high" --quiet)
"""


@click.command(
    epilog="""
\b
Example:
  quorate agents consensus create --agent-name outreach-agent \\
    --action "pause outreach" --contact-email ceo@bigcorp.com \\
    --reason "Fatigue scores are high" --timeout 5
"""
    + EXIT_CODES
)
@agent_options
@click.option("--action", required=True, help="What is proposed.")
@click.option("--contact-email", required=True, help="The contact that it is about.")
@click.option("--reason", required=True, help="Why.")
@click.option(
    "--timeout",
    type=Minutes(TIMEOUT_MINUTES_MIN, TIMEOUT_MINUTES_MAX),
    default=TIMEOUT_MINUTES_DEFAULT,
    show_default=f"{TIMEOUT_MINUTES_DEFAULT:g}",
    help="How long it stays open; may be a fraction.",
)
@click.option(
    "--electorate",
    type=click.Choice(ELECTORATES),
    default="live",
    show_default=True,
    help="Who may vote: whoever is active at each vote, or those active now.",
)
@click.option("--proposer-votes/--no-proposer-votes", default=True, help="May the proposer vote?")
@click.option(
    "--floor", type=click.FloatRange(0, 1), help="The share of today's agents that must count."
)
@service_options
@json_option
@quiet_option
def create(  # noqa: PLR0917 - click hands options over like this.
    where: TargetSources,
    agent_id: str | None,
    agent_name: str | None,
    action: str,
    contact_email: str,
    reason: str,
    timeout: float,
    electorate: Electorate,
    proposer_votes: bool,
    floor: float | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Ask the active agents to approve an action; a majority decides."""
    from quorate.client import requests

    service = called_service(where)
    meant = who(service, agent_id, agent_name)
    ask = requests.request_consensus(
        meant,
        action=action,
        contact_email=contact_email,
        reason=reason,
        timeout_minutes=timeout,
        electorate=electorate,
        proposer_votes=proposer_votes,
        floor=floor,
    )
    with calling(where, service, advice=advice_for(meant)) as line:
        found = line.ask(ask)
    if quiet:
        say(found.id)
    elif as_json:
        print_json(found.raw)
    else:
        _print(found, meant.name or found.requesting_agent_id)


@click.command(
    epilog="\n\b\nExample:\n"
    + PROPOSING
    + '  quorate agents consensus get "$proposal"\n'
    + EXIT_CODES
)
@click.argument("consensus_id")
@service_options
@json_option
def get(where: TargetSources, consensus_id: str, as_json: bool) -> None:
    """Look at the request CONSENSUS_ID: how it stands, and who voted how."""
    from quorate.client import requests

    with calling(where) as line:
        found = line.ask(requests.get_consensus(consensus_id))
        votes = [] if as_json else _votes(line, consensus_id, LISTED_MAX)
        names = {} if as_json else names_by_id(line)
    if as_json:
        print_json(found.raw)
        return
    _print(found, names.get(found.requesting_agent_id, found.requesting_agent_id))
    if votes:
        say("")
        _print_votes(votes, names)


@click.command(
    epilog="\n\b\nExample:\n"
    + PROPOSING
    + """\
  quorate agents consensus vote "$proposal" --agent-name retention-agent \\
    --vote approve --reason "Agreed, signals look bad"
"""
    + EXIT_CODES
)
@click.argument("consensus_id")
@agent_options
@click.option("--vote", type=click.Choice(CHOICES), required=True, help="The first is final.")
@click.option("--reason", help="Why.")
@service_options
@json_option
def vote(  # noqa: PLR0917 - click hands options over like this.
    where: TargetSources,
    consensus_id: str,
    agent_id: str | None,
    agent_name: str | None,
    vote: Choice,
    reason: str | None,
    as_json: bool,
) -> None:
    """Vote on the request CONSENSUS_ID."""
    from quorate.client import requests

    service = called_service(where)
    meant = who(service, agent_id, agent_name)
    with calling(where, service, advice=advice_for(meant)) as line:
        cast = line.ask(requests.cast_vote(meant, consensus_id, vote, reason))
    if as_json:
        print_json(cast.raw)
    else:
        voter = meant.name or cast.agent_id
        say(f"{voter} voted to {cast.vote}; the request is {cast.consensus_status}.")


@click.command(
    epilog="\n\b\nExample:\n"
    + PROPOSING
    + '  quorate agents consensus votes "$proposal"\n'
    + EXIT_CODES
)
@click.argument("consensus_id")
@service_options
@limit_option
@json_option
def votes(where: TargetSources, consensus_id: str, limit: int, as_json: bool) -> None:
    """List the votes on the request CONSENSUS_ID."""
    with calling(where) as line:
        found = _votes(line, consensus_id, limit)
        names = {} if as_json else names_by_id(line)
    if as_json:
        print_json([one.raw for one in found])
    else:
        _print_votes(found, names)


@click.command(
    "list",
    epilog="""
\b
Examples:
  quorate agents consensus list
  quorate agents consensus list --status pending --json
"""
    + EXIT_CODES,
)
@click.option("--status", type=click.Choice(STATUSES), help="Only those that stand so.")
@service_options
@limit_option
@json_option
@quiet_option
def list_consensus(
    where: TargetSources, status: Status | None, limit: int, as_json: bool, quiet: bool
) -> None:
    """List the requests for consensus, the oldest first."""
    from quorate.client import requests

    with calling(where) as line:
        found = line.listed(
            lambda after, length: requests.list_consensus(status=status, after=after, limit=length),
            lambda one: one.id,
            limit,
        )
    if quiet:
        say_each([one.id for one in found])
    elif as_json:
        print_json([one.raw for one in found])
    else:
        columns = ("action", "contact", "status", "for", "against", "until (UTC)", "id")
        print_table("Requests", columns, [_row(one) for one in found])


def _votes(line: ApiClient, consensus_id: str, limit: int) -> "list[VoteInfo]":
    from quorate.client import requests

    return line.listed(
        lambda after, length: requests.list_votes(consensus_id, after=after, limit=length),
        lambda one: one.agent_id,  # There is one of each agent.
        limit,
    )


def _row(one: "ConsensusInfo") -> tuple[str, ...]:
    return (
        one.action,
        one.contact_email,
        one.status,
        str(one.approvals),
        str(one.rejections),
        table_clock(one.timeout_at),
        one.id,
    )


def _print(found: "ConsensusInfo", proposer: str) -> None:
    counted = f"{found.approvals} for, {found.rejections} against"
    if found.decision is not None:
        counted += f", of {found.decision.electorate_size}"
    facts = {
        "request": found.id,
        "action": found.action,
        "contact": found.contact_email,
        "reason": found.reason,
        "proposed by": proposer,
        "votes": counted,
        "open until": clock(found.timeout_at),
    }
    if found.closed_at is not None:
        facts["closed"] = clock(found.closed_at)
    print_facts(f"The request is {found.status}.", facts)


def _print_votes(found: "list[VoteInfo]", names: dict[str, str]) -> None:
    rows = [
        (
            names.get(one.agent_id, one.agent_id),
            one.vote,
            one.reason or "",
            table_clock(one.created_at),
        )
        for one in found
    ]
    print_table("Votes", ("voter", "vote", "reason", "at (UTC)"), rows)
