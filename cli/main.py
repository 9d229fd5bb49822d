"""The `quorate` command: verbs are imported when they are asked for, never before.

An agent that runs one verb pays for that verb alone, and needs nothing that only the server has.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module

import click

from quorate import __version__
from quorate.cli.failures import ERROR

TRACEBACK_VARIABLE = "QUORATE_TRACEBACK"
ENVIRONMENT_PREFIX = "QUORATE"


class LazyGroup(click.Group):
    """A group that knows its verbs by their import paths."""

    def __init__(self, name: str, verbs: Mapping[str, str], help: str) -> None:  # noqa: A002
        super().__init__(name, help=help, no_args_is_help=True)
        self._verbs = verbs

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(self._verbs)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in self._verbs:
            return None
        module, _, name = self._verbs[cmd_name].partition(":")
        command: click.Command = getattr(import_module(module), name)
        command.context_settings.setdefault("auto_envvar_prefix", ENVIRONMENT_PREFIX)
        return command


quorate = LazyGroup(
    "quorate",
    verbs={
        "serve": "quorate.cli.serve:serve",
        "events": "quorate.cli.main:events",
        "verify": "quorate.cli.verify:verify",
        "replay": "quorate.cli.replay:replay",
        "rebuild": "quorate.cli.rebuild:rebuild",
        "nats-config": "quorate.cli.nats_config:nats_config",
    },
    help="""Leases, votes and an audit log for many agents.

    Each option can also be set in the environment, as in QUORATE_DATA_DIR.

    \b
    Start a service, then take its log away and check it:
      quorate serve
      quorate events export log.jsonl
      quorate verify log.jsonl
      quorate replay log.jsonl
    """,
)
click.version_option(__version__)(quorate)

events = LazyGroup(
    "events",
    verbs={"export": "quorate.cli.export:export"},
    help="Read the log of a tenant.",
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one verb and end the process with its exit code."""
    try:
        quorate.main(args=arguments, prog_name="quorate")
    except ModuleNotFoundError as missing:
        if os.environ.get(TRACEBACK_VARIABLE) or (missing.name or "quorate").startswith("quorate"):
            raise
        click.echo(
            f"Error: this verb needs {missing.name}, which comes with the server: "
            "pip install 'quorate[server]'.",
            err=True,
        )
        sys.exit(ERROR)
    except Exception as error:
        if os.environ.get(TRACEBACK_VARIABLE):
            raise
        kind = type(error).__name__
        click.echo(
            f"Error: {kind}: {error} ({TRACEBACK_VARIABLE}=1 shows where it happened).", err=True
        )
        sys.exit(ERROR)


if __name__ == "__main__":
    main()
