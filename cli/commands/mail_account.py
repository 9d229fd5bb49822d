"""`quorate mail account` and `quorate mail policy`."""

from typing import TYPE_CHECKING

import click

from quorate.cli.connection.resolve import TargetSources
from quorate.cli.mailbox.messages import open_mailbox
from quorate.cli.options import (
    agent_options,
    as_of_option,
    json_option,
    quiet_option,
    service_options,
)
from quorate.cli.output.console import format_time, print_details, print_json, print_line
from quorate.cli.output.errors import EXIT_CODES
from quorate.domain.mail.accounts import Mode

if TYPE_CHECKING:
    from quorate.contracts.mail.mailbox import AccountInfo, LimitUse, PolicyInfo

MODES: tuple[Mode, ...] = ("open", "contacts_only", "closed")


@click.command(
    epilog="""
\b
Examples:
  quorate mail account --agent-name outreach-agent
  quorate mail account --agent-name outreach-agent --quiet
"""
    + EXIT_CODES
)
@agent_options
@service_options
@json_option
@click.option("-q", "--quiet", is_flag=True, help="Print only the address.")
@as_of_option
def account(
    sources: TargetSources,
    agent_id: str | None,
    agent_name: str | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Show the address of an agent, its limits, and its reputation."""
    from quorate.contracts.mail.mailbox import GET_ACCOUNT

    with open_mailbox(sources, agent_id, agent_name) as mailbox:
        found = mailbox.call(GET_ACCOUNT)
    if quiet:
        print_line(found.email_address)
    elif as_json:
        print_json(found.raw)
    else:
        print_account(found)


def print_account(found: "AccountInfo") -> None:
    frozen = f"frozen ({found.frozen_reason})" if found.sending_frozen else "permitted"
    print_details(
        f"{found.email_address} has {found.unread_count} unread messages.",
        {
            "mail to people": frozen,
            "tier": found.send_tier,
            "sent this hour": _describe_limit(found.rate_limits.hourly),
            "sent today": _describe_limit(found.rate_limits.daily),
            "reputation": f"{found.reputation_score:g}",
            "sent": f"{found.total_sent:,}",
            "received": f"{found.total_received:,}",
            "bounced": f"{found.total_bounced:,}",
            "spam complaints": f"{found.total_spam_complaints:,}",
            "stored": f"{found.stored_bytes:,} bytes",
            "created": format_time(found.created_at),
        },
    )


def _describe_limit(use: "LimitUse") -> str:
    return f"{use.used:,} of {use.limit:,}, until {format_time(use.resets_at)}"


@click.command(
    "show",
    epilog="""
\b
Examples:
  quorate mail policy show --agent-name outreach-agent
  quorate mail policy show --agent-name outreach-agent --json
"""
    + EXIT_CODES,
)
@agent_options
@service_options
@json_option
@as_of_option
def show_policy(
    sources: TargetSources, agent_id: str | None, agent_name: str | None, as_json: bool
) -> None:
    """Show whose mail an agent accepts."""
    from quorate.contracts.mail.mailbox import GET_POLICY

    with open_mailbox(sources, agent_id, agent_name) as mailbox:
        found = mailbox.call(GET_POLICY)
    if as_json:
        print_json(found.raw)
    else:
        _print_policy(found)


@click.command(
    "set",
    epilog="""
\b
Examples:
  quorate mail policy set --agent-name retention-agent --mode open \\
    --block noisy-agent
  quorate mail policy set --agent-name retention-agent \\
    --mode contacts_only --allow outreach-agent --allow kim@example.com
  quorate mail policy set --agent-name retention-agent --mode open
"""
    + EXIT_CODES,
)
@click.option(
    "--mode",
    type=click.Choice(MODES),
    required=True,
    help="open: mail of everybody; contacts_only: mail of --allow; closed: no mail.",
)
@click.option(
    "--allow",
    multiple=True,
    help="A sender that contacts_only accepts: an address or an agent's name; repeatable.",
)
@click.option("--block", multiple=True, help="A sender that is never accepted; repeatable.")
@agent_options
@service_options
@json_option
@quiet_option
def set_policy(  # noqa: PLR0917 - click passes options as arguments.
    sources: TargetSources,
    mode: Mode,
    allow: tuple[str, ...],
    block: tuple[str, ...],
    agent_id: str | None,
    agent_name: str | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Replace the policy: whose mail an agent accepts. Mail of others is blocked.

    Senders that are not named with --allow or --block are removed from the lists.
    """
    from quorate.contracts.mail.mailbox import PUT_POLICY

    with open_mailbox(sources, agent_id, agent_name) as mailbox:
        body = {"mode": mode, "allow": list(allow), "block": list(block)}
        found = mailbox.call(PUT_POLICY, body=body)
    if quiet:
        print_line(found.mode)
    elif as_json:
        print_json(found.raw)
    else:
        _print_policy(found)


def _print_policy(found: "PolicyInfo") -> None:
    print_details(
        f"The mail policy is {found.mode}.",
        {"allow": ", ".join(found.allow) or "-", "block": ", ".join(found.block) or "-"},
    )
