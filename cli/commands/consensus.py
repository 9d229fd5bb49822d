"""`quorate proposals`: create and cancel proposals, vote, list and show proposals."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, get_args

import click

from quorate.cli.commands.agents import advice_for, names_by_id, print_lines
from quorate.cli.connection.api import ApiClient, open_api
from quorate.cli.connection.resolve import TargetSources, resolve_agent, resolve_target
from quorate.cli.options import (
    LIST_LIMIT_MAX,
    agent_options,
    as_of_option,
    json_option,
    limit_option,
    quiet_option,
    service_options,
)
from quorate.cli.output.console import (
    format_table_time,
    format_time,
    print_details,
    print_hint,
    print_json,
    print_line,
    print_table,
)
from quorate.cli.output.errors import EXIT_CODES
from quorate.cli.parameter_types import Duration, NumberRange
from quorate.domain.coordination.consensus import (
    ELECTORATE_DEFAULT,
    STATUSES,
    TIMEOUT_MINUTES_DEFAULT,
    TIMEOUT_MINUTES_MAX,
    TIMEOUT_MINUTES_MIN,
    Choice,
    Electorate,
    Status,
)

if TYPE_CHECKING:
    from quorate.contracts.coordination.consensus import ConsensusInfo, VoteInfo

WAITING_SHOWN_MAX = 20
CHOICES: tuple[Choice, ...] = get_args(Choice)
ELECTORATES: tuple[Electorate, ...] = get_args(Electorate)
PROPOSING = """\
  proposal=$(quorate proposals create --agent-name outreach-agent \\
    --action "pause outreach" --contact-email ceo@bigcorp.com \\
    --reason "Fatigue scores are high" --quiet)
"""


@click.command(
    epilog="""
\b
Example:
  quorate proposals create --agent-name outreach-agent \\
    --action "pause outreach" --contact-email ceo@bigcorp.com \\
    --reason "Fatigue scores are high" --timeout 5m
"""
    + EXIT_CODES
)
@agent_options
@click.option("--action", required=True, help="The proposed action.")
@click.option("--contact-email", required=True, help="The contact that the action concerns.")
@click.option("--reason", required=True, help="Reason for the proposal.")
@click.option(
    "--timeout",
    type=Duration("m", TIMEOUT_MINUTES_MIN, TIMEOUT_MINUTES_MAX),
    default=f"{TIMEOUT_MINUTES_DEFAULT:g}m",
    show_default=True,
    help="When the proposal expires, e.g. 90s or 5m; a plain number means minutes.",
)
@click.option(
    "--electorate",
    type=click.Choice(ELECTORATES),
    default=ELECTORATE_DEFAULT,
    show_default=True,
    help="Who may vote: live = agents active at each vote, snapshot = agents active now.",
)
@click.option(
    "--proposer-votes/--no-proposer-votes",
    default=True,
    show_default=True,
    help="Whether the proposing agent may vote.",
)
@click.option(
    "--floor",
    type=NumberRange(0, 1),
    help="Minimum electorate, as a share of the agents that are active now. [default: none]",
)
@service_options
@json_option
@quiet_option
def create(  # noqa: PLR0917 - click passes options as arguments.
    sources: TargetSources,
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
    """Create a proposal for an action; a majority of the active agents decides."""
    from quorate.client import requests

    service = resolve_target(sources)
    acting_agent = resolve_agent(service, agent_id, agent_name)
    request = requests.request_consensus(
        acting_agent,
        action=action,
        contact_email=contact_email,
        reason=reason,
        timeout_minutes=timeout,
        electorate=electorate,
        proposer_votes=proposer_votes,
        floor=floor,
    )
    with open_api(sources, service, advice=advice_for(acting_agent)) as api:
        found = api.call(request)
    if quiet:
        print_line(found.id)
    elif as_json:
        print_json(found.raw)
    else:
        _print(found, acting_agent.name or found.requesting_agent_id)


@click.command(
    epilog="\n\b\nExample:\n" + PROPOSING + '  quorate proposals get "$proposal"\n' + EXIT_CODES
)
@click.argument("consensus_id")
@service_options
@json_option
@as_of_option
def get(sources: TargetSources, consensus_id: str, as_json: bool) -> None:
    """Show the proposal CONSENSUS_ID with its status and votes, and who has not voted yet."""
    from quorate.client import requests

    with open_api(sources) as api:
        found = api.call(requests.get_consensus(consensus_id))
        if as_json:
            print_json(found.raw)
            return
        votes = _votes(api, consensus_id, LIST_LIMIT_MAX)
        names = names_by_id(api) | names_by_id(api, "deregistered")
        waiting = _not_voted(api, consensus_id) if found.status == "pending" else []
    _print(found, names.get(found.requesting_agent_id, found.requesting_agent_id), waiting)
    if votes:
        print_line("")
        _print_votes(votes, names)


@click.command(
    epilog="\n\b\nExample:\n"
    + PROPOSING
    + """\
  quorate proposals vote "$proposal" --agent-name retention-agent \\
    --vote approve --reason "Agreed, signals look bad"
"""
    + EXIT_CODES
)
@click.argument("consensus_id")
@agent_options
@click.option("--vote", type=click.Choice(CHOICES), required=True, help="Your vote; it is final.")
@click.option("--reason", help="Reason for the vote.")
@service_options
@json_option
@quiet_option
def vote(  # noqa: PLR0917 - click passes options as arguments.
    sources: TargetSources,
    consensus_id: str,
    agent_id: str | None,
    agent_name: str | None,
    vote: Choice,
    reason: str | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Vote on the proposal CONSENSUS_ID."""
    from quorate.client import requests

    service = resolve_target(sources)
    acting_agent = resolve_agent(service, agent_id, agent_name)
    with open_api(sources, service, advice=advice_for(acting_agent)) as api:
        cast = api.call(requests.cast_vote(acting_agent, consensus_id, vote, reason))
        is_shown = not as_json and not quiet and cast.consensus_status == "pending"
        tally = api.call(requests.get_consensus(consensus_id)) if is_shown else None
    if quiet:
        print_line(consensus_id)
    elif as_json:
        print_json(cast.raw)
    else:
        voter = acting_agent.name or cast.agent_id
        print_line(f"{voter} voted to {cast.vote}; the proposal is {cast.consensus_status}.")
        if tally is not None and tally.status == "pending":
            print_hint(f"{_describe_tally(tally)}.")


@click.command(
    epilog="\n\b\nExample:\n"
    + PROPOSING
    + """\
  quorate proposals cancel "$proposal" --agent-name outreach-agent
"""
    + EXIT_CODES
)
@click.argument("consensus_id")
@agent_options
@click.option("--reason", help="Reason for the cancellation.")
@service_options
@json_option
@quiet_option
def cancel(  # noqa: PLR0917 - click passes options as arguments.
    sources: TargetSources,
    consensus_id: str,
    agent_id: str | None,
    agent_name: str | None,
    reason: str | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Cancel the pending proposal CONSENSUS_ID: as its proposer, or with a tenant key."""
    from quorate.client import requests

    service = resolve_target(sources)
    named = resolve_agent(service, agent_id, agent_name)
    with open_api(sources, service) as api:
        cancelled = api.call(requests.cancel_consensus(named, consensus_id, reason))
    if quiet:
        print_line(cancelled.id)
    elif as_json:
        print_json(cancelled.raw)
    else:
        print_line(f"Cancelled {cancelled.id}: {cancelled.action}.")


@click.command(
    epilog="\n\b\nExample:\n" + PROPOSING + '  quorate proposals votes "$proposal"\n' + EXIT_CODES
)
@click.argument("consensus_id")
@service_options
@limit_option
@json_option
@as_of_option
def votes(sources: TargetSources, consensus_id: str, limit: int, as_json: bool) -> None:
    """List the votes on the proposal CONSENSUS_ID."""
    with open_api(sources) as api:
        found = _votes(api, consensus_id, limit)
        names = {} if as_json else names_by_id(api)
    if as_json:
        print_json([one.raw for one in found])
    else:
        _print_votes(found, names)


@click.command(
    "list",
    epilog="""
\b
Examples:
  quorate proposals list
  quorate proposals list --status pending --json
"""
    + EXIT_CODES,
)
@click.option("--status", type=click.Choice(STATUSES), help="Only proposals with this status.")
@service_options
@limit_option
@json_option
@quiet_option
@as_of_option
def list_consensus(
    sources: TargetSources, status: Status | None, limit: int, as_json: bool, quiet: bool
) -> None:
    """List the proposals, oldest first."""
    from quorate.client import requests

    with open_api(sources) as api:
        found = api.list_all(
            lambda after, length: requests.list_consensus(status=status, after=after, limit=length),
            limit,
        )
    if quiet:
        print_lines([one.id for one in found])
    elif as_json:
        print_json([one.raw for one in found])
    else:
        columns = ("action", "contact", "status", "for", "against", "until (UTC)", "id")
        print_table("Proposals", columns, [_row(one) for one in found])


def _votes(api: ApiClient, consensus_id: str, limit: int) -> "list[VoteInfo]":
    from quorate.client import requests

    return api.list_all(
        lambda after, length: requests.list_votes(consensus_id, after=after, limit=length),
        limit,
    )


def _row(one: "ConsensusInfo") -> tuple[str, ...]:
    return (
        one.action,
        one.contact_email,
        one.status,
        str(one.approvals),
        str(one.rejections),
        format_table_time(one.timeout_at),
        one.id,
    )


def _not_voted(api: ApiClient, consensus_id: str) -> list[str]:
    from quorate.client import requests

    electorate = api.list_all(
        lambda after, length: requests.list_electorate(consensus_id, after=after, limit=length),
        LIST_LIMIT_MAX,
    )
    return [one.name or one.id for one in electorate if one.vote is None]


def _describe_tally(found: "ConsensusInfo") -> str:
    """Describe the votes that count now, for example 2 of 7 active agents approve; 4 needed."""
    agents = "agents" if found.electorate == "snapshot" else "active agents"
    tally = f"{found.counted_approvals} of {found.electorate_size} {agents} approve"
    if found.counted_rejections:
        tally += f", {found.counted_rejections} reject"
    return f"{tally}; {found.needed} needed"


def _print(found: "ConsensusInfo", proposer: str, waiting: Sequence[str] = ()) -> None:
    counted = f"{found.approvals} for, {found.rejections} against"
    if found.decision is not None:
        counted += f", of {found.decision.electorate_size}"
    if found.status == "pending" and found.electorate_size is not None:
        counted = _describe_tally(found)
    details = {
        "proposal": found.id,
        "action": found.action,
        "contact": found.contact_email,
        "reason": found.reason,
        "proposed by": proposer,
        "votes": counted,
        "open until": format_time(found.timeout_at),
    }
    if waiting:
        more = len(waiting) - WAITING_SHOWN_MAX
        shown = ", ".join(waiting[:WAITING_SHOWN_MAX])
        details["not voted"] = f"{shown} and {more} more" if more > 0 else shown
    if found.closed_at is not None:
        details["closed"] = format_time(found.closed_at)
    print_details(f"The proposal is {found.status}.", details)


def _print_votes(found: "list[VoteInfo]", names: dict[str, str]) -> None:
    rows = [
        (
            names.get(one.agent_id, one.agent_id),
            one.vote,
            one.reason or "",
            format_table_time(one.created_at),
        )
        for one in found
    ]
    print_table("Votes", ("voter", "vote", "reason", "at (UTC)"), rows)
