"""`quorate explain`: why something was decided or refused, and what can be done now."""

from typing import TYPE_CHECKING

import click

from quorate.cli.connection.api import open_api
from quorate.cli.options import as_of_option, json_option, service_options
from quorate.cli.output.console import format_time, print_json, print_line, printable
from quorate.cli.output.errors import EXIT_CODES

if TYPE_CHECKING:
    from quorate.cli.connection.resolve import TargetSources
    from quorate.contracts.explanations import ExplanationInfo


@click.command(
    epilog="""
\b
Examples:
  quorate explain 42
  lease=$(quorate lease acquire user@example.com \\
    --agent-name outreach-agent --quiet)
  quorate explain "$lease"
  quorate explain lease_conflict --json
"""
    + EXIT_CODES
)
@click.argument("id_", metavar="ID")
@service_options
@json_option
@as_of_option
def explain(sources: "TargetSources", id_: str, as_json: bool) -> None:
    """Explain a decision or a refusal.

    ID is the id of a lease, a send, a proposal, a message, a delivery, a task or an event, the
    sequence of an event, or the code of a problem. It needs a key of the tenant or an auditor.
    """
    from quorate.client.request_builder import request_for
    from quorate.contracts.explanations import EXPLAIN

    with open_api(sources) as api:
        found = api.call(request_for(EXPLAIN, id=id_))
    if as_json:
        print_json(found.raw)
    else:
        for line in _lines(found):
            print_line(printable(line))


def _lines(found: "ExplanationInfo") -> list[str]:
    lines = [f"{found.outcome}", f"Rule      {found.rule}"]
    lines += [
        f"Fact      {format_time(one.at)}  #{one.sequence}  {one.text}" for one in found.facts
    ]
    if found.command is not None:
        command = found.command
        sent = f"#{command.sequence}  by {command.actor}, command {command.command_id}"
        lines.append(f"Decided   {format_time(command.at)}  {sent}")
    if not found.is_complete:
        missing = "needs an option of the operator" if found.facts else "needs events"
        why = "which is not in the log" if found.facts else "which were not read"
        lines.append(f"Missing   The rule {missing}, {why}.")
    if found.gap is not None:
        lines.append(f"Gap       Events {found.gap.after + 1} to {found.gap.until} were not read.")
    lines += [f"Possible  {one.action} ({one.when})." for one in found.possible]
    return lines
