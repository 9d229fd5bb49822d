"""The `quorate` command: verbs are imported when they are asked for, never before.

An agent that runs one verb pays for that verb alone, and needs nothing that only the server has.
"""

import atexit
import gc
import os
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module

import click

from quorate import __version__
from quorate.cli.output.errors import ERROR, EXIT_CODES

TRACEBACK_VARIABLE = "QUORATE_TRACEBACK"
ENVIRONMENT_PREFIX = "QUORATE"
SENTENCE_LENGTH_MAX = 200
COLLECT_EVERY_OBJECTS = 200_000  # Where Python would look for garbage every 700.


class LazyGroup(click.Group):
    """A group that knows its verbs by their import paths, under headings."""

    def __init__(
        self,
        name: str,
        verbs: Mapping[str, Mapping[str, str]],
        help: str,  # noqa: A002 - click's own name for it.
        epilog: str | None = None,
    ) -> None:
        super().__init__(name, help=help, epilog=epilog, no_args_is_help=True)
        self._headings = verbs
        self._paths = {verb: path for under in verbs.values() for verb, path in under.items()}

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
        for heading, verbs in self._headings.items():
            with formatter.section(heading):
                formatter.write_dl([(verb, self._first_sentence(ctx, verb)) for verb in verbs])

    def _first_sentence(self, ctx: click.Context, verb: str) -> str:
        """Whole, however many lines it takes: half a sentence helps nobody."""
        command = self.get_command(ctx, verb)
        assert command is not None
        return command.get_short_help_str(SENTENCE_LENGTH_MAX)


quorate = LazyGroup(
    "quorate",
    verbs={
        "Take part": {
            "agents": "quorate.cli.main:agents",
            "lease": "quorate.cli.main:lease",
            "watch": "quorate.cli.commands.watch:watch",
        },
        "Run a service": {
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
        },
        "Audit": {
            "events": "quorate.cli.main:events",
            "verify": "quorate.cli.commands.verify:verify",
            "replay": "quorate.cli.commands.replay:replay",
        },
        "This command itself": {
            "context": "quorate.cli.main:context",
            "completion": "quorate.cli.commands.completion:completion",
        },
    },
    help="""Leases, votes and an audit log for many agents.

    Each option can also be set in the environment, as in QUORATE_DATA_DIR. Answers are tables at
    a terminal and JSON elsewhere; --json and --no-json choose.

    \b
    Start a service, and try it from a second terminal:
      quorate serve
      quorate agents register --agent-name outreach-agent
      quorate agents lease --agent-name outreach-agent \\
        --contact-email user@example.com

    \b
    Take its log away and check it:
      quorate events export log.jsonl
      quorate verify log.jsonl
      quorate replay log.jsonl
    """,
    epilog=EXIT_CODES,
)
click.version_option(__version__)(quorate)

agents = LazyGroup(
    "agents",
    verbs={
        "Agents": {
            "register": "quorate.cli.commands.agents:register",
            "heartbeat": "quorate.cli.commands.agents:heartbeat",
            "list": "quorate.cli.commands.agents:list_agents",
            "show": "quorate.cli.commands.agents:show",
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
        "Votes": {"consensus": "quorate.cli.main:consensus"},
    },
    help="""Register agents, lease contacts, vote.

    Who acts is said by an agent's own key. Other keys speak for several agents: name one with
    --agent-name, QUORATE_AGENT or a context.
    """,
)
consensus = LazyGroup(
    "consensus",
    verbs={
        "Commands": {
            "create": "quorate.cli.commands.consensus:create",
            "get": "quorate.cli.commands.consensus:get",
            "vote": "quorate.cli.commands.consensus:vote",
            "votes": "quorate.cli.commands.consensus:votes",
            "list": "quorate.cli.commands.consensus:list_consensus",
        }
    },
    help="Ask the active agents for a decision, and vote.",
)
lease = LazyGroup(
    "lease",
    verbs={"Commands": {"run": "quorate.cli.commands.lease_run:run"}},
    help="Do something while holding a contact.",
)
db = LazyGroup(
    "db",
    verbs={
        "Commands": {
            "upgrade": "quorate.cli.commands.db:upgrade",
            "current": "quorate.cli.commands.db:current",
            "check": "quorate.cli.commands.db:check",
        }
    },
    help="Make and upgrade the tables of a database.",
)
log = LazyGroup(
    "log",
    verbs={
        "Commands": {
            "archive": "quorate.cli.commands.log:archive",
            "verify": "quorate.cli.commands.log:verify",
        }
    },
    help="Move old events to files, and check the whole log.",
)
mirror = LazyGroup(
    "mirror",
    verbs={"Commands": {"reset": "quorate.cli.commands.mirror:reset"}},
    help="Look after the copy of the log in JetStream.",
)
keys = LazyGroup(
    "keys",
    verbs={
        "Commands": {
            "issue": "quorate.cli.commands.keys:issue",
            "list": "quorate.cli.commands.keys:list_keys",
            "revoke": "quorate.cli.commands.keys:revoke",
            "self": "quorate.cli.commands.keys:own",
        }
    },
    help="Say who may call.",
)
tenants = LazyGroup(
    "tenants",
    verbs={"Commands": {"create": "quorate.cli.commands.tenants:create"}},
    help="Add tenants.",
)
events = LazyGroup(
    "events",
    verbs={"Commands": {"export": "quorate.cli.commands.export:export"}},
    help="Read the log of a tenant.",
)
context = LazyGroup(
    "context",
    verbs={
        "Commands": {
            "add": "quorate.cli.commands.contexts:add",
            "use": "quorate.cli.commands.contexts:use",
            "list": "quorate.cli.commands.contexts:list_contexts",
            "show": "quorate.cli.commands.contexts:show",
            "remove": "quorate.cli.commands.contexts:remove",
        }
    },
    help="""Remember services, and as whom to call them.

    What is typed beats the environment, that beats the context in use, and that the local service.
    """,
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one verb and end the process with its exit code."""
    _spare_what_stays()
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


def _spare_what_stays() -> None:
    """Modules stay until the end. To look for garbage among them while they are loaded, and once
    more at the end, took a fifth of the time of a short verb, and of the start of a service.
    """
    gc.set_threshold(COLLECT_EVERY_OBJECTS)
    atexit.register(gc.freeze)


if __name__ == "__main__":
    main()
