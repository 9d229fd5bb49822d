"""The `quorate` command. It imports only the module of the command that runs.

So a command starts fast, and client commands run without the server dependencies.
"""

import atexit
import gc
import os
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module

import click

from quorate import __version__
from quorate.cli.groups import SuggestingGroup
from quorate.cli.output.errors import ERROR, EXIT_CODES
from quorate.runtime.standard_streams import open_missing_streams

TRACEBACK_VARIABLE = "QUORATE_TRACEBACK"
ENVIRONMENT_PREFIX = "QUORATE"
MAX_SHORT_HELP_LENGTH = 200
COLLECT_EVERY_OBJECTS = 200_000


class LazyGroup(SuggestingGroup):
    """A command group that imports its commands on demand and lists them under headings."""

    def __init__(
        self,
        name: str,
        commands: Mapping[str, Mapping[str, str]],
        help: str,  # noqa: A002 - the name that click defines.
        epilog: str | None = None,
    ) -> None:
        super().__init__(name, help=help, epilog=epilog, no_args_is_help=True)
        self._headings = commands
        self._paths = {
            command_name: path
            for section in commands.values()
            for command_name, path in section.items()
        }

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(self._paths)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in self._paths:
            return None
        module, _, name = self._paths[cmd_name].partition(":")
        command: click.Command = getattr(import_module(module), name)
        command.context_settings.setdefault("auto_envvar_prefix", ENVIRONMENT_PREFIX)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for heading, commands in self._headings.items():
            with formatter.section(heading):
                formatter.write_dl(
                    [
                        (command_name, self._first_sentence(ctx, command_name))
                        for command_name in commands
                    ]
                )

    def _first_sentence(self, ctx: click.Context, command_name: str) -> str:
        """Return the whole first sentence; click would truncate it to one line."""
        command = self.get_command(ctx, command_name)
        assert command is not None
        return command.get_short_help_str(MAX_SHORT_HELP_LENGTH)


quorate = LazyGroup(
    "quorate",
    commands={
        "Agents": {
            "agents": "quorate.cli.main:agents",
            "lease": "quorate.cli.main:lease",
            "watch": "quorate.cli.commands.watch:watch",
            "call": "quorate.cli.commands.call:call",
        },
        "Operations": {
            "serve": "quorate.cli.commands.serve:serve",
            "demo": "quorate.cli.demo.command:demo",
            "doctor": "quorate.cli.commands.doctor:doctor",
            "db": "quorate.cli.main:db",
            "rebuild": "quorate.cli.commands.rebuild:rebuild",
            "backup": "quorate.cli.commands.backup:backup",
            "restore": "quorate.cli.commands.restore:restore",
            "log": "quorate.cli.main:log",
            "mirror": "quorate.cli.main:mirror",
            "nats-config": "quorate.cli.commands.nats_config:nats_config",
            "secrets": "quorate.cli.commands.secrets:secrets",
            "keys": "quorate.cli.main:keys",
            "tenants": "quorate.cli.main:tenants",
            "quotas": "quorate.cli.commands.quotas:quotas",
        },
        "Audit": {
            "events": "quorate.cli.main:events",
            "verify": "quorate.cli.commands.verify:verify",
            "replay": "quorate.cli.commands.replay:replay",
        },
        "Command line": {
            "context": "quorate.cli.main:context",
            "completion": "quorate.cli.commands.completion:completion",
        },
    },
    help="""Leases, votes and an audit log for many agents.

    Each option can also be set in the environment, e.g. QUORATE_DATA_DIR for --data-dir. Output is
    text at a terminal and JSON elsewhere; --json and --no-json override this.

    \b
    Start a service, then try it from a second terminal:
      quorate serve
      quorate agents register --agent-name outreach-agent
      quorate agents lease --agent-name outreach-agent \\
        --contact-email user@example.com

    \b
    Export the event log, verify it and replay it offline:
      quorate events export log.jsonl
      quorate verify log.jsonl
      quorate replay log.jsonl
    """,
    epilog=EXIT_CODES,
)
click.version_option(__version__)(quorate)

agents = LazyGroup(
    "agents",
    commands={
        "Agents": {
            "register": "quorate.cli.commands.agents:register",
            "heartbeat": "quorate.cli.commands.agents:heartbeat",
            "list": "quorate.cli.commands.agents:list_agents",
            "show": "quorate.cli.commands.agents:show",
            "deregister": "quorate.cli.commands.agents:deregister",
            "remove": "quorate.cli.commands.agents:remove",
            "config": "quorate.cli.commands.agent_settings:config",
            "update-config": "quorate.cli.commands.agent_settings:update_config",
        },
        "Contacts": {
            "lease": "quorate.cli.commands.leases:lease",
            "renew-lease": "quorate.cli.commands.leases:renew_lease",
            "release-lease": "quorate.cli.commands.leases:release_lease",
            "leases": "quorate.cli.commands.leases:leases",
            "request-send": "quorate.cli.commands.leases:request_send",
        },
        "Consensus": {"consensus": "quorate.cli.main:consensus"},
    },
    help="""Register agents, lease contacts, vote.

    An agent key acts for its agent. Other keys can act for every agent: name the acting agent with
    --agent-name, QUORATE_AGENT or a context.
    """,
)
consensus = LazyGroup(
    "consensus",
    commands={
        "Commands": {
            "create": "quorate.cli.commands.consensus:create",
            "get": "quorate.cli.commands.consensus:get",
            "vote": "quorate.cli.commands.consensus:vote",
            "votes": "quorate.cli.commands.consensus:votes",
            "cancel": "quorate.cli.commands.consensus:cancel",
            "list": "quorate.cli.commands.consensus:list_consensus",
        }
    },
    help="Create proposals and vote on them.",
)
lease = LazyGroup(
    "lease",
    commands={"Commands": {"run": "quorate.cli.commands.lease_run:run"}},
    help="Run a command while holding a lease.",
)
db = LazyGroup(
    "db",
    commands={
        "Commands": {
            "upgrade": "quorate.cli.commands.db:upgrade",
            "current": "quorate.cli.commands.db:current",
            "check": "quorate.cli.commands.db:check",
        }
    },
    help="Create and upgrade the database schema.",
)
log = LazyGroup(
    "log",
    commands={
        "Commands": {
            "archive": "quorate.cli.commands.log:archive",
            "verify": "quorate.cli.commands.log:verify",
        }
    },
    help="Archive old events to files, and verify the whole event log.",
)
mirror = LazyGroup(
    "mirror",
    commands={"Commands": {"reset": "quorate.cli.commands.mirror:reset"}},
    help="Manage the JetStream mirror of the event log.",
)
keys = LazyGroup(
    "keys",
    commands={
        "Commands": {
            "issue": "quorate.cli.commands.keys:issue",
            "list": "quorate.cli.commands.keys:list_keys",
            "revoke": "quorate.cli.commands.keys:revoke",
            "self": "quorate.cli.commands.keys:own",
        }
    },
    help="Manage API keys.",
)
tenants = LazyGroup(
    "tenants",
    commands={
        "Commands": {
            "create": "quorate.cli.commands.tenants:create",
            "list": "quorate.cli.commands.tenants:list_tenants",
            "get": "quorate.cli.commands.tenants:get",
            "suspend": "quorate.cli.commands.tenants:suspend",
            "resume": "quorate.cli.commands.tenants:resume",
            "set-limits": "quorate.cli.commands.tenants:set_limits",
        }
    },
    help="Create, list, suspend and resume tenants, and set their limits.",
)
events = LazyGroup(
    "events",
    commands={"Commands": {"export": "quorate.cli.commands.export:export"}},
    help="Export the event log of a tenant.",
)
context = LazyGroup(
    "context",
    commands={
        "Commands": {
            "add": "quorate.cli.commands.contexts:add",
            "use": "quorate.cli.commands.contexts:use",
            "list": "quorate.cli.commands.contexts:list_contexts",
            "show": "quorate.cli.commands.contexts:show",
            "remove": "quorate.cli.commands.contexts:remove",
        }
    },
    help="""Manage connection profiles (contexts).

    Precedence: command line, environment, current context, local service.
    """,
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and end the process with its exit code."""
    open_missing_streams()
    _limit_garbage_collection()
    try:
        quorate.main(args=arguments, prog_name="quorate")
    except ModuleNotFoundError as missing:
        if os.environ.get(TRACEBACK_VARIABLE) or (missing.name or "quorate").startswith("quorate"):
            raise
        click.echo(
            f"Error: this command needs the package {missing.name}: pip install 'quorate[server]'.",
            err=True,
        )
        sys.exit(ERROR)
    except Exception as error:
        if os.environ.get(TRACEBACK_VARIABLE):
            raise
        kind = type(error).__name__
        click.echo(
            f"Error: {kind}: {error} ({TRACEBACK_VARIABLE}=1 shows the traceback).", err=True
        )
        sys.exit(ERROR)


def _limit_garbage_collection() -> None:
    """Skip most garbage collections: modules live until the process ends.

    The collections during imports and at exit took a fifth of the time of a short command and of
    the start of a service.
    """
    gc.set_threshold(COLLECT_EVERY_OBJECTS)
    atexit.register(gc.freeze)


if __name__ == "__main__":
    main()
