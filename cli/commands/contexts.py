"""`quorate context`: manage connection profiles.

The commands never print a stored key, only its public id.
"""

import os
import sys
from pathlib import Path
from typing import Any

import click

from quorate.cli.connection.profiles import (
    Context,
    Contexts,
    contexts,
    require_valid_name,
    update_contexts,
)
from quorate.cli.connection.resolve import Service, TargetSources, resolve_target
from quorate.cli.options import complete_context, json_option, service_options
from quorate.cli.output.console import (
    print_details,
    print_hint,
    print_json,
    print_line,
    print_table,
)
from quorate.domain.identity.key_format import read_key
from quorate.runtime.url_redaction import redact_url

FROM_STDIN = "-"
OVERRIDING_VARIABLES = ("QUORATE_URL", "QUORATE_API_KEY", "QUORATE_CONTEXT", "QUORATE_DATA_DIR")
SCHEMES = ("http://", "https://")
name_only_option = click.option("-q", "--quiet", is_flag=True, help="Print only the name.")
context_argument = click.argument("name", shell_complete=complete_context)


@click.command(
    epilog="""
\b
Examples:
  quorate context add here --data-dir ./data --agent outreach-agent
  echo "$KEY" | quorate context add there --url http://127.0.0.1:8420 \\
    --api-key - --use
"""
)
@click.argument("name")
@click.option(
    "--url", allow_from_autoenv=False, help="URL of the service, e.g. http://127.0.0.1:8420."
)
@click.option(
    "--api-key",
    allow_from_autoenv=False,
    help='API key; "-" reads it from stdin or prompts for it.',
)
@click.option("--nats-url", allow_from_autoenv=False, help="NATS URL, for notifications over NATS.")
@click.option(
    "--data-dir",
    allow_from_autoenv=False,
    type=click.Path(file_okay=False, path_type=Path),
    help="Data directory of a local service, instead of --url, --api-key and --nats-url.",
)
@click.option("--agent", allow_from_autoenv=False, help="Acting agent: a name or an id.")
@click.option("--use", is_flag=True, help="Make it the current context.")
@click.option("--replace", is_flag=True, help="Replace an existing context of this name.")
@name_only_option
def add(  # noqa: PLR0917 - click passes options as arguments.
    name: str,
    url: str | None,
    api_key: str | None,
    nats_url: str | None,
    data_dir: Path | None,
    agent: str | None,
    use: bool,
    replace: bool,
    quiet: bool,
) -> None:
    """Add the context NAME: a service, and the key and agent to use with it.

    For a local service give --data-dir: its ports can change at each start. The key is optional;
    QUORATE_API_KEY can supply it at each call.
    """
    require_valid_name(name)
    if data_dir is not None:
        if url or api_key or nats_url:
            raise click.UsageError("--data-dir replaces --url, --api-key and --nats-url.")
        context = Context(data_dir=str(data_dir.expanduser().resolve()), agent=agent)
    else:
        key = _key_from_stdin() if api_key == FROM_STDIN else api_key
        context = Context(
            url=_require_url(url), api_key=_require_key(key), nats_url=nats_url, agent=agent
        )

    def add_context(known: Contexts) -> Contexts:
        more = known.with_context(name, context, replacing=replace)
        return more.using(name) if use else more

    is_current = update_contexts(add_context).current == name
    if quiet:
        print_line(name)
        return
    current = " It is the current context." if is_current else ""
    print_line(f"Added context {name}.{current}")
    if context.api_key is None and context.data_dir is None:
        print_hint("It has no key: set QUORATE_API_KEY, or add it again with --api-key.")


def _require_url(url: str | None) -> str:
    if url is None:
        raise click.UsageError("Missing --url, or --data-dir for a local service.")
    if not url.startswith(SCHEMES):
        raise click.UsageError("--url must begin with http:// or https://.")
    return url.rstrip("/")


def _key_from_stdin() -> str:
    if sys.stdin.isatty():
        return str(click.prompt("API key", hide_input=True, err=True))
    return sys.stdin.readline().strip()


def _require_key(text: str | None) -> str | None:
    if text is not None and read_key(text) is None:
        raise click.UsageError("Invalid API key: check that it is complete.")
    return text


@click.command(
    epilog="""
\b
Examples:
  quorate context add here --data-dir ./data
  quorate context use here
  quorate context use --none
"""
)
@click.argument("name", required=False, shell_complete=complete_context)
@click.option("--none", "none", is_flag=True, help="Use no context: call the local service.")
@name_only_option
def use(name: str | None, none: bool, quiet: bool) -> None:
    """Make NAME the current context."""
    if none == (name is not None):
        raise click.UsageError("Give the NAME of a context, or --none.")
    update_contexts(lambda known: known.using(name))
    if quiet:
        print_line(name or "")
    else:
        print_line(f"Current context: {name}." if name else "No current context.")
    for variable in OVERRIDING_VARIABLES:
        if name is not None and os.environ.get(variable):
            print_hint(f"Note: {variable} is set in this shell and overrides the context.")


@click.command(
    "list",
    epilog="""
\b
Examples:
  quorate context list
  quorate context list --json
""",
)
@json_option
def list_contexts(as_json: bool) -> None:
    """List all contexts and mark the current one."""
    found = contexts()
    if as_json:
        print_json([_as_json(found, name) for name in sorted(found.known)])
        return
    rows = [_row(found, name) for name in sorted(found.known)]
    print_table("Contexts", ("current", "name", "service", "key", "agent"), rows)
    if found.current is None:
        print_hint("No current context: commands call the local service.")


def _as_json(found: Contexts, name: str) -> dict[str, Any]:
    context = found.known[name]
    return {
        "name": name,
        "current": name == found.current,
        "url": context.url and redact_url(context.url),
        "natsUrl": context.nats_url and redact_url(context.nats_url),
        "dataDir": context.data_dir,
        "keyId": _key_id(context.api_key),
        "agent": context.agent,
    }


def _row(found: Contexts, name: str) -> tuple[str, ...]:
    context = found.known[name]
    return (
        "yes" if name == found.current else "",
        name,
        redact_url(context.url or context.data_dir or ""),
        _key_id(context.api_key) or "",
        context.agent or "",
    )


def _key_id(key: str | None) -> str | None:
    """Return the public id of a key."""
    known = read_key(key) if key is not None else None
    return known[0] if known else None


@click.command(
    epilog="""
\b
Examples:
  quorate context show
  quorate context show --json
"""
)
@service_options
@json_option
def show(sources: TargetSources, as_json: bool) -> None:
    """Show the service, key and agent that commands use now, and where each comes from."""
    service = resolve_target(sources)
    key_id = _key_id(service.api_key)
    if as_json:
        print_json(
            {
                "url": redact_url(service.url),
                "urlFrom": service.url_from,
                "natsUrl": service.nats_url and redact_url(service.nats_url),
                "keyId": key_id,
                "keyFrom": service.key_from,
                "agent": service.agent,
                "agentFrom": service.agent_from or None,
            }
        )
        return
    details = {
        "URL from": service.url_from,
        "key": f"{key_id or 'unknown format'}, from {service.key_from}",
        "acting agent": _acting_as(service),
    }
    if service.nats_url:
        details["NATS"] = redact_url(service.nats_url)
    print_details(f"Commands call {redact_url(service.url)}.", details)


def _acting_as(service: Service) -> str:
    if service.agent is None:
        return "the agent of the key, or --agent-name"
    return f"{service.agent}, from {service.agent_from}"


@click.command(
    epilog="""
\b
Example:
  quorate context add here --data-dir ./data
  quorate context remove here
"""
)
@context_argument
@name_only_option
def remove(name: str, quiet: bool) -> None:
    """Remove the context NAME and its stored key.

    The key stays valid: revoke it with `quorate keys revoke`.
    """
    was_current = contexts().current == name
    update_contexts(lambda known: known.without(name))
    if quiet:
        print_line(name)
    else:
        print_line(f"Removed context {name}.{' No current context.' if was_current else ''}")
