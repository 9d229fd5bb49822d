"""`quorate mail search`."""

from datetime import UTC, datetime
from typing import Any

import click

from quorate.cli.commands.mail_reading import (
    cursor_option,
    kind_option,
    list_length_option,
    sender_option,
)
from quorate.cli.connection.resolve import TargetSources
from quorate.cli.mailbox.display import print_found, print_more
from quorate.cli.mailbox.messages import open_mailbox
from quorate.cli.options import agent_options, json_option, quiet_option, service_options
from quorate.cli.output.console import print_json, print_line
from quorate.cli.output.errors import EXIT_CODES


class Time(click.ParamType[datetime]):
    """A day (in UTC) or a time with an offset, as RFC 3339."""

    name = "time"

    def convert(
        self,
        value: Any,  # noqa: ANN401 - click's own signature.
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> datetime:
        try:
            at = datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{value!r} is not a day or time such as 2026-03-01T12:00:00Z.", param, ctx)
        return at if at.tzinfo else at.replace(tzinfo=UTC)


@click.command(
    epilog="""
\b
Examples:
  quorate mail search "order 7" --agent-name retention-agent
  quorate mail search offer --agent-name retention-agent \\
    --from outreach-agent --after 2026-03-01 --json
"""
    + EXIT_CODES
)
@click.argument("words", metavar="WORDS")
@sender_option
@click.option("--to", help="Only messages to this address, or to this agent by its name.")
@kind_option
@click.option(
    "--after", type=Time(), allow_from_autoenv=False, help="Only messages sent at or after it."
)
@click.option(
    "--before", type=Time(), allow_from_autoenv=False, help="Only messages sent before it."
)
@cursor_option
@list_length_option
@agent_options
@service_options
@json_option
@quiet_option
def search(  # noqa: PLR0917 - click passes options as arguments.
    sources: TargetSources,
    words: str,
    agent_id: str | None,
    agent_name: str | None,
    as_json: bool,
    quiet: bool,
    **given: Any,  # noqa: ANN401 - the filters.
) -> None:
    """Find the messages of a mailbox that contain all WORDS, the best match first.

    Quotes and operators have no meaning. A new message is found after about a second.
    """
    from quorate.contracts.mail.messages import SEARCH_MAIL

    with open_mailbox(sources, agent_id, agent_name) as mailbox:
        named = [one for one in (given["sender"], given["to"]) if one is not None]
        addresses = dict(zip(named, mailbox.addresses(named), strict=True))
        query = {
            "q": words,
            "from_address": addresses.get(given["sender"]),
            "to_address": addresses.get(given["to"]),
            **{name: given[name] for name in ("kind", "after", "before", "limit", "cursor")},
        }
        page = mailbox.call(SEARCH_MAIL, query=query)
    if quiet:
        for one in page.messages:
            print_line(one.message_id)
    elif as_json:
        print_json(page.raw)
    else:
        print_found(page.messages)
        if page.has_more:
            print_more(page.cursor)
