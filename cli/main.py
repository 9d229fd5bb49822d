"""The `quorate` command. It imports only the module of the command that runs.

So a command starts fast, and client commands run without the server dependencies.
"""

import atexit
import gc
import os
import sys
from collections.abc import Sequence

import click

from quorate import __version__
from quorate.cli.groups import LazyGroup
from quorate.cli.output.errors import ERROR, EXIT_CODES, INTERRUPTED
from quorate.runtime.standard_streams import open_missing_streams

TRACEBACK_VARIABLE = "QUORATE_TRACEBACK"
COLLECT_EVERY_OBJECTS = 200_000


quorate = LazyGroup(
    "quorate",
    commands={
        "Agents": {
            "agents": "quorate.cli.main:agents",
            "lease": "quorate.cli.main:lease",
            "proposals": "quorate.cli.main:proposals",
            "mail": "quorate.cli.main:mail",
            "sessions": "quorate.cli.session_groups:sessions",
            "spawn": "quorate.cli.session_groups:spawn",
            "worker": "quorate.cli.commands.worker:worker",
            "tasks": "quorate.cli.session_groups:tasks",
            "schedules": "quorate.cli.session_groups:schedules",
            "watch": "quorate.cli.commands.watch:watch",
            "tool": "quorate.cli.commands.tool:tool",
            "call": "quorate.cli.commands.call:call",
            "mcp": "quorate.cli.commands.mcp:mcp",
        },
        "Operations": {
            "serve": "quorate.cli.commands.serve:serve",
            "demo": "quorate.cli.demo.command:demo",
            "status": "quorate.cli.commands.status:status",
            "doctor": "quorate.cli.commands.doctor:doctor",
            "console": "quorate.cli.commands.console:console",
            "db": "quorate.cli.main:db",
            "rebuild": "quorate.cli.commands.rebuild:rebuild",
            "backup": "quorate.cli.commands.backup:backup",
            "restore": "quorate.cli.commands.restore:restore",
            "log": "quorate.cli.main:log",
            "mirror": "quorate.cli.main:mirror",
            "nats-config": "quorate.cli.commands.nats_config:nats_config",
            "secrets": "quorate.cli.commands.secrets:secrets",
            "keys": "quorate.cli.main:keys",
            "presets": "quorate.cli.session_groups:presets",
            "tenants": "quorate.cli.main:tenants",
            "quotas": "quorate.cli.commands.quotas:quotas",
            "explain": "quorate.cli.commands.explain:explain",
        },
        "Audit": {
            "events": "quorate.cli.main:events",
            "verify": "quorate.cli.commands.verify:verify",
            "replay": "quorate.cli.commands.replay:replay",
        },
        "Command line": {
            "context": "quorate.cli.main:context",
            "credentials": "quorate.cli.main:credentials",
            "whoami": "quorate.cli.commands.keys:own",
            "version": "quorate.cli.commands.status:version",
            "completion": "quorate.cli.commands.completion:completion",
        },
    },
    help="""Leases, votes and an audit log for many agents.

    Each option can also be set in the environment, e.g. QUORATE_DATA_DIR for --data-dir. Output is
    text at a terminal and JSON elsewhere; -o table, -o wide, -o json and -o yaml override this.

    \b
    Start a service, then try it from a second terminal:
      quorate serve
      quorate agents register outreach-agent
      quorate lease acquire user@example.com --agent-name outreach-agent

    \b
    Export the event log, verify it and replay it offline:
      quorate events export log.jsonl
      quorate verify log.jsonl
      quorate replay log.jsonl
    """,
    epilog=EXIT_CODES,
    aliases={"consensus": "proposals"},
    nouns=True,
)
click.version_option(__version__)(quorate)

agents = LazyGroup(
    "agents",
    commands={
        "Agents": {
            "register": "quorate.cli.commands.agents:register",
            "heartbeat": "quorate.cli.commands.agents:heartbeat",
            "list": "quorate.cli.commands.agents:list_agents",
            "get": "quorate.cli.commands.agents:show",
            "deregister": "quorate.cli.commands.agents:deregister",
            "deactivate": "quorate.cli.commands.operator_actions:deactivate_agent",
            "remove": "quorate.cli.commands.agents:remove",
            "config": "quorate.cli.commands.agent_settings:config",
            "update-config": "quorate.cli.commands.agent_settings:update_config",
        },
        "Contacts, also in `quorate lease`": {
            "lease": "quorate.cli.commands.leases:lease",
            "renew-lease": "quorate.cli.commands.leases:renew_lease",
            "release-lease": "quorate.cli.commands.leases:release_lease",
            "leases": "quorate.cli.commands.leases:leases",
            "request-send": "quorate.cli.commands.send_gate:request_send",
        },
        "Votes, also `quorate proposals`": {"consensus": "quorate.cli.main:consensus"},
    },
    help="""Register agents, lease contacts, vote.

    An agent key acts for its agent. Other keys can act for every agent: name the acting agent with
    --agent-name, QUORATE_AGENT or a context.
    """,
    aliases={"show": "get"},
)
PROPOSAL_COMMANDS = {
    "Commands": {
        "create": "quorate.cli.commands.consensus:create",
        "get": "quorate.cli.commands.consensus:get",
        "vote": "quorate.cli.commands.consensus:vote",
        "votes": "quorate.cli.commands.consensus:votes",
        "cancel": "quorate.cli.commands.consensus:cancel",
        "end": "quorate.cli.commands.operator_actions:end_proposal",
        "list": "quorate.cli.commands.consensus:list_consensus",
    }
}
PROPOSAL_ALIASES = {"show": "get"}
PROPOSAL_HELP = "Create proposals and vote on them."
proposals = LazyGroup(
    "proposals", commands=PROPOSAL_COMMANDS, help=PROPOSAL_HELP, aliases=PROPOSAL_ALIASES
)
consensus = LazyGroup(
    "consensus", commands=PROPOSAL_COMMANDS, help=PROPOSAL_HELP, aliases=PROPOSAL_ALIASES
)
lease = LazyGroup(
    "lease",
    commands={
        "Commands": {
            "acquire": "quorate.cli.commands.leases:lease",
            "renew": "quorate.cli.commands.leases:renew_lease",
            "release": "quorate.cli.commands.leases:release_lease",
            "end": "quorate.cli.commands.operator_actions:end_lease",
            "get": "quorate.cli.commands.leases:get_lease",
            "list": "quorate.cli.commands.leases:leases",
            "request-send": "quorate.cli.commands.send_gate:request_send",
            "run": "quorate.cli.commands.lease_run:run",
        }
    },
    help="""Lease contacts, and run a command while holding a lease.

    A lease is named by its id or by its contact.
    """,
    aliases={"show": "get"},
)
mail = LazyGroup(
    "mail",
    commands={
        "Messages": {
            "send": "quorate.cli.commands.mail_send:send",
            "inbox": "quorate.cli.commands.mail_reading:inbox",
            "read": "quorate.cli.commands.mail_reading:read",
            "attachment": "quorate.cli.commands.mail_attachment:attachment",
            "thread": "quorate.cli.commands.mail_reading:thread",
            "reply": "quorate.cli.commands.mail_send:reply",
            "sent": "quorate.cli.commands.mail_reading:sent",
            "search": "quorate.cli.commands.mail_search:search",
            "watch": "quorate.cli.commands.mail_watch:watch_mail",
            "ack": "quorate.cli.commands.mail_marks:ack",
            "star": "quorate.cli.commands.mail_marks:star",
            "delete": "quorate.cli.commands.mail_marks:delete",
        },
        "Account": {
            "account": "quorate.cli.commands.mail_account:account",
            "policy": "quorate.cli.main:mail_policy",
        },
        "Operators": {
            "dead-letters": "quorate.cli.main:dead_letters",
            "freeze": "quorate.cli.commands.mail_operators:freeze",
            "thaw": "quorate.cli.commands.mail_operators:thaw",
            "tier": "quorate.cli.commands.mail_operators:set_tier",
            "erase": "quorate.cli.commands.mail_operators:erase",
        },
    },
    help="""Send mail between agents, and to people through the send gate.

    The address of an agent is NAME@DOMAIN; `quorate mail account` shows it. Recipients may be given
    as agent names. MESSAGE is the id of a message, or its last characters as the tables print them.
    """,
    aliases={"show": "read", "get": "read"},
)
mail_policy = LazyGroup(
    "policy",
    commands={
        "Commands": {
            "show": "quorate.cli.commands.mail_account:show_policy",
            "set": "quorate.cli.commands.mail_account:set_policy",
        }
    },
    help="Show and set whose mail an agent accepts.",
    aliases={"get": "show"},
)
dead_letters = LazyGroup(
    "dead-letters",
    commands={
        "Commands": {
            "list": "quorate.cli.commands.mail_operators:list_dead_letters",
            "retry": "quorate.cli.commands.mail_operators:retry",
            "drop": "quorate.cli.commands.mail_operators:drop",
        }
    },
    help="List, retry and drop mail to people whose delivery was given up.",
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
            "get": "quorate.cli.commands.keys:get",
            "rotate": "quorate.cli.commands.key_rotation:rotate",
            "revoke": "quorate.cli.commands.keys:revoke",
            "self": "quorate.cli.commands.keys:own",
        }
    },
    help="Manage API keys.",
    aliases={"show": "get"},
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
            "pause": "quorate.cli.commands.tenants:pause",
            "unpause": "quorate.cli.commands.tenants:unpause",
            "set-limits": "quorate.cli.commands.tenants:set_limits",
            "mail-domain": "quorate.cli.commands.mail_domains:mail_domain",
        }
    },
    help="Create, list, suspend and pause tenants, set their limits and mail domains.",
)
events = LazyGroup(
    "events",
    commands={
        "Commands": {
            "list": "quorate.cli.commands.events:list_events",
            "get": "quorate.cli.commands.events:get",
            "tail": "quorate.cli.commands.events:tail",
            "export": "quorate.cli.commands.export:export",
        }
    },
    help="Read and export the event log of a tenant.",
    aliases={"show": "get"},
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
    aliases={"get": "show", "rm": "remove"},
)
credentials = LazyGroup(
    "credentials",
    commands={"Commands": {"show": "quorate.cli.commands.credentials:show"}},
    help="Show the credentials of a local service.",
    aliases={"get": "show"},
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and end the process with its exit code."""
    open_missing_streams()
    _limit_garbage_collection()
    try:
        code = quorate.main(args=arguments, prog_name="quorate", standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except click.ClickException as failure:
        failure.show()
        sys.exit(failure.exit_code)
    except (click.Abort, KeyboardInterrupt) as aborted:
        if _is_interrupt(aborted):
            sys.exit(INTERRUPTED)
        click.echo("Aborted!", err=True)  # As click does when a prompt was declined.
        sys.exit(ERROR)
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


def _is_interrupt(error: BaseException) -> bool:
    """Whether Ctrl-C ended the command; the end of the input of a prompt does it as well."""
    cause = error.__cause__ or error.__context__
    return isinstance(error, KeyboardInterrupt) or isinstance(cause, KeyboardInterrupt)


def _limit_garbage_collection() -> None:
    """Skip most garbage collections: modules live until the process ends.

    The collections during imports and at exit took a fifth of the time of a short command and of
    the start of a service.
    """
    gc.set_threshold(COLLECT_EVERY_OBJECTS)
    atexit.register(gc.freeze)


if __name__ == "__main__":
    main()
