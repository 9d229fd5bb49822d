"""`quorate call`: every operation of the service as a command, made from its declaration.

A new operation in `quorate.contracts.registry` appears here without further code. This module is
imported by `quorate --help`, so it imports the declarations only when they are needed.
"""

from collections.abc import Iterable, Mapping, Sequence
from types import ModuleType
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from quorate.cli.groups import SuggestingGroup
from quorate.cli.operations.names import kebab_case
from quorate.cli.output.errors import EXIT_CODES

if TYPE_CHECKING:
    from quorate.contracts.operations import AnyOperation


def operations_by_heading() -> "Mapping[str, Sequence[AnyOperation]]":
    """Group all operations by the module that declares them, in the order of the registry."""
    from quorate.contracts import registry

    modules = [one for one in vars(registry).values() if isinstance(one, ModuleType)]
    headings = {
        operation.name: _heading(module)
        for module in modules
        for operation in getattr(module, "OPERATIONS", ())
    }
    grouped: dict[str, list[AnyOperation]] = {}
    for operation in registry.OPERATIONS:
        grouped.setdefault(headings.get(operation.name, "Other"), []).append(operation)
    return grouped


def _heading(module: ModuleType) -> str:
    name = module.__name__.rpartition(".")[2]
    return name.replace("_", " ").capitalize().replace("Api", "API")


class OperationGroup(SuggestingGroup):
    """One command for each operation, by its camelCase or kebab-case name."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        from quorate.contracts.registry import OPERATIONS

        return [operation.name for operation in OPERATIONS]

    def names_like(self, ctx: click.Context, name: str) -> Iterable[str]:
        names = self.list_commands(ctx)
        return map(kebab_case, names) if "-" in name else names

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        from quorate.cli.operations.command import command_for
        from quorate.contracts.registry import OPERATIONS_BY_NAME

        names = {kebab_case(name): name for name in self.list_commands(ctx)}
        operation = OPERATIONS_BY_NAME.get(names.get(cmd_name, cmd_name))
        return None if operation is None else command_for(operation)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        del ctx
        for heading, operations in operations_by_heading().items():
            with formatter.section(heading):
                formatter.write_dl([(one.name, f"{one.summary}.") for one in operations])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete the names of operations; kebab-case names once a hyphen is typed."""
        from quorate.contracts.registry import OPERATIONS

        names = {one.name: one.summary for one in OPERATIONS}
        if "-" in incomplete.lstrip("-"):
            names = {kebab_case(name): summary for name, summary in names.items()}
        found = [
            CompletionItem(name, help=summary)
            for name, summary in names.items()
            if name.startswith(incomplete)
        ]
        return found or click.Command.shell_complete(self, ctx, incomplete)


call = OperationGroup(
    "call",
    no_args_is_help=True,
    subcommand_metavar="OPERATION [OPTIONS]",
    help="""Call an operation of the service by its name.

    `quorate call OPERATION --help` describes the fields, roles and problems of an operation.
    Each field is one option. The output is the JSON of the response. Names in kebab-case
    (acquire-lease) are accepted as well.
    """,
    epilog="""
\b
Examples:
  quorate call register --agent-name outreach-agent --agent-role outbound
  quorate call acquireLease --agent-name outreach-agent \\
    --contact-email user@example.com --duration-minutes 30
  echo '{"agentName": "outreach-agent"}' | quorate call heartbeat --json -
"""
    + EXIT_CODES,
)
