"""`quorate mail` for operators: dead letters, frozen accounts, tiers, erasure.

These commands need a tenant key, or with ``--as-operator`` the admin key.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

from quorate.cli.commands.agents import agent_id_of, print_lines
from quorate.cli.commands.keys import operator_option, tenant_option
from quorate.cli.commands.mail_account import print_account
from quorate.cli.connection.api import ApiClient, open_api
from quorate.cli.connection.resolve import TargetSources, agent_ref, resolve_target
from quorate.cli.mailbox.messages import MESSAGE_ID_PREFIX
from quorate.cli.mailbox.requests import NO_AGENT, mail_request
from quorate.cli.options import (
    as_of_option,
    json_option,
    limit_option,
    quiet_option,
    service_options,
)
from quorate.cli.output.console import (
    format_table_time,
    format_time,
    print_json,
    print_line,
    print_table,
)
from quorate.cli.output.errors import ADVICE, EXIT_CODES, OPERATOR_ADVICE
from quorate.domain.mail.settings import TIERS, Tier

if TYPE_CHECKING:
    from quorate.client.request_builder import Request
    from quorate.contracts.mail.mailbox import AccountInfo, DeliveryInfo
    from quorate.contracts.operations import Operation

Command = TypeVar("Command", bound=Callable[..., Any])
T = TypeVar("T")
detail_option = click.option("--detail", help="Why, for the event log.")


def operator_options(command: Command) -> Command:
    """Add ``--tenant --as-operator`` and the options of each command."""
    for decorate in (quiet_option, json_option, service_options, operator_option, tenant_option):
        command = decorate(command)
    return command


class Operator:
    """Calls operations for one tenant: that of the key, or the one that an admin key names."""

    def __init__(self, api: ApiClient, tenant: str | None, *, is_admin: bool) -> None:
        self.api = api
        self._tenant = tenant
        self._is_admin = is_admin

    def request(
        self,
        operation: "Operation[T]",
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, Any] | None = None,
        **ids: str,
    ) -> "Request[T]":
        named = {"tenant_id": self._tenant, **(query or {})}
        return mail_request(operation, NO_AGENT, body=body, query=named, **ids)

    def call(
        self, operation: "Operation[T]", body: Mapping[str, Any] | None = None, **ids: str
    ) -> T:
        return self.api.call(self.request(operation, body, None, **ids))

    def agent_id(self, text: str) -> str:
        if self._is_admin and agent_ref(text).id is None:
            raise click.UsageError(
                "With --as-operator, AGENT is an id: `quorate agents list -o wide` prints it."
            )
        return agent_id_of(self.api, text)


@contextmanager
def open_as_operator(
    sources: TargetSources, tenant: str | None, *, as_operator: bool
) -> Iterator[Operator]:
    if as_operator and tenant is None:
        raise click.UsageError("--as-operator requires --tenant.")
    service = resolve_target(sources, as_operator=as_operator)
    advice = OPERATOR_ADVICE if as_operator else ADVICE
    with open_api(sources, service, advice=advice) as api:
        yield Operator(api, tenant, is_admin=as_operator)


# -- Dead letters ------------------------------------------------------------------


@click.command(
    "list",
    epilog="""
\b
Examples:
  quorate mail dead-letters list
  quorate mail dead-letters list --held --json
"""
    + EXIT_CODES,
)
@click.option("--held", is_flag=True, help="Mail that waits for an SMTP relay, instead.")
@limit_option
@operator_options
@as_of_option
def list_dead_letters(  # noqa: PLR0917 - click passes options as arguments.
    sources: TargetSources,
    held: bool,
    limit: int,
    tenant: str | None,
    as_operator: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """List mail to people whose delivery was given up."""
    from quorate.contracts.mail.mailbox import LIST_DELIVERIES

    status = "held" if held else "dead_lettered"
    with open_as_operator(sources, tenant, as_operator=as_operator) as operator:
        found: list[DeliveryInfo] = operator.api.list_all(
            lambda after, length: operator.request(
                LIST_DELIVERIES,
                query={"status": status, "limit": length, "after": after},
            ),
            limit,
        )
    if quiet:
        print_lines([one.id for one in found])
    elif as_json:
        print_json([one.raw for one in found])
    else:
        columns = ("queued (UTC)", "to", "attempts", "last response", "id")
        title = "Held mail" if held else "Dead letters"
        print_table(title, columns, [_row(one) for one in found], wide=())


def _row(one: "DeliveryInfo") -> tuple[str, ...]:
    response = " ".join(str(part) for part in (one.smtp_code, one.detail) if part)
    return (format_table_time(one.queued_at), one.address, str(one.attempts), response, one.id)


@click.command(
    epilog="""
\b
Example:
  for delivery in $(quorate mail dead-letters list --quiet); do
    quorate mail dead-letters retry "$delivery" --detail "the relay is back"
  done
"""
    + EXIT_CODES
)
@click.argument("delivery")
@detail_option
@operator_options
def retry(  # noqa: PLR0917 - click passes options as arguments.
    sources: TargetSources,
    delivery: str,
    detail: str | None,
    tenant: str | None,
    as_operator: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Queue the dead letter DELIVERY again; its retry time begins again."""
    from quorate.contracts.mail.mailbox import RETRY_DELIVERY

    with open_as_operator(sources, tenant, as_operator=as_operator) as operator:
        found = operator.call(RETRY_DELIVERY, {"detail": detail}, delivery_id=delivery)
    _print_delivery(found, "Queued again", as_json=as_json, quiet=quiet)


@click.command(
    epilog="""
\b
Example:
  for delivery in $(quorate mail dead-letters list --quiet); do
    quorate mail dead-letters drop "$delivery" --detail "out of date"
  done
"""
    + EXIT_CODES
)
@click.argument("delivery")
@detail_option
@operator_options
def drop(  # noqa: PLR0917 - click passes options as arguments.
    sources: TargetSources,
    delivery: str,
    detail: str | None,
    tenant: str | None,
    as_operator: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Drop the dead letter DELIVERY: it is not sent and not listed any more."""
    from quorate.contracts.mail.mailbox import DROP_DELIVERY

    with open_as_operator(sources, tenant, as_operator=as_operator) as operator:
        found = operator.call(DROP_DELIVERY, {"detail": detail}, delivery_id=delivery)
    _print_delivery(found, "Dropped", as_json=as_json, quiet=quiet)


def _print_delivery(found: "DeliveryInfo", done: str, *, as_json: bool, quiet: bool) -> None:
    if quiet:
        print_line(found.id)
    elif as_json:
        print_json(found.raw)
    else:
        print_line(f"{done}: {found.id} to {found.address}.")


# -- Accounts ----------------------------------------------------------------------


@click.command(
    epilog="""
\b
Examples:
  quorate mail freeze outreach-agent --detail "Complaints are reviewed"
  quorate mail thaw outreach-agent
"""
    + EXIT_CODES
)
@click.argument("agent")
@detail_option
@operator_options
def freeze(  # noqa: PLR0917 - click passes options as arguments.
    sources: TargetSources,
    agent: str,
    detail: str | None,
    tenant: str | None,
    as_operator: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Block mail of AGENT (a name or an id) to people; mail to agents is still sent."""
    from quorate.contracts.mail.mailbox import FREEZE_ACCOUNT

    with open_as_operator(sources, tenant, as_operator=as_operator) as operator:
        agent_id = operator.agent_id(agent)
        found = operator.call(FREEZE_ACCOUNT, {"detail": detail}, agent_id=agent_id)
    _print_account(found, as_json=as_json, quiet=quiet)


@click.command(
    epilog="""
\b
Examples:
  quorate mail freeze outreach-agent
  quorate mail thaw outreach-agent --detail "Addresses are verified"
"""
    + EXIT_CODES
)
@click.argument("agent")
@detail_option
@operator_options
def thaw(  # noqa: PLR0917 - click passes options as arguments.
    sources: TargetSources,
    agent: str,
    detail: str | None,
    tenant: str | None,
    as_operator: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Permit mail of AGENT (a name or an id) to people again; its reputation starts at 1."""
    from quorate.contracts.mail.mailbox import THAW_ACCOUNT

    with open_as_operator(sources, tenant, as_operator=as_operator) as operator:
        agent_id = operator.agent_id(agent)
        found = operator.call(THAW_ACCOUNT, {"detail": detail}, agent_id=agent_id)
    _print_account(found, as_json=as_json, quiet=quiet)


@click.command(
    epilog="""
\b
Examples:
  quorate mail tier outreach-agent trusted
  quorate mail tier outreach-agent active --json
"""
    + EXIT_CODES
)
@click.argument("agent")
@click.argument("tier", type=click.Choice(TIERS))
@operator_options
def set_tier(  # noqa: PLR0917 - click passes options as arguments.
    sources: TargetSources,
    agent: str,
    tier: Tier,
    tenant: str | None,
    as_operator: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Set the sending limits of AGENT (a name or an id); a new agent has the tier active."""
    from quorate.contracts.mail.mailbox import SET_TIER

    with open_as_operator(sources, tenant, as_operator=as_operator) as operator:
        found = operator.call(SET_TIER, {"tier": tier}, agent_id=operator.agent_id(agent))
    _print_account(found, as_json=as_json, quiet=quiet)


def _print_account(found: "AccountInfo", *, as_json: bool, quiet: bool) -> None:
    if quiet:
        print_line(found.agent_id)
    elif as_json:
        print_json(found.raw)
    else:
        print_account(found)


# -- Erasure -----------------------------------------------------------------------


@click.command(
    epilog="""
\b
Example:
  message=$(quorate mail send --agent-name outreach-agent \\
    --to retention-agent --subject "Data of Kim" --body "Private." --quiet)
  quorate mail erase "$message" --yes --detail "Kim asked for it"
"""
    + EXIT_CODES
)
@click.argument("message")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@detail_option
@operator_options
def erase(  # noqa: PLR0917 - click passes options as arguments.
    sources: TargetSources,
    message: str,
    yes: bool,
    detail: str | None,
    tenant: str | None,
    as_operator: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Erase the body of MESSAGE (its full id) in all mailboxes; this cannot be undone.

    The event log keeps that the message existed, its subject and its addresses. The hash chain
    stays valid. Backups and exports made before still have the body.
    """
    from quorate.contracts.mail.mailbox import ERASE_MESSAGE

    if not message.startswith(MESSAGE_ID_PREFIX):
        raise click.UsageError(f"MESSAGE is the full id, {MESSAGE_ID_PREFIX}...: see -o wide.")
    if not yes:
        click.confirm("Erase the body in all mailboxes?", abort=True, err=True)
    with open_as_operator(sources, tenant, as_operator=as_operator) as operator:
        found = operator.call(ERASE_MESSAGE, {"detail": detail}, message_id=message)
    if quiet:
        print_line(found.message_id)
    elif as_json:
        print_json(found.raw)
    else:
        print_line(f"Erased the body of {found.message_id} at {format_time(found.erased_at)}.")
