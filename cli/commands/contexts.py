"""`quorate context`: which service is called, and as whom, said once instead of each time.

A key's text goes in and never comes out: only its public id is shown.
"""

import os
import sys
from pathlib import Path
from typing import Any

import click

from quorate.cli.connection.profiles import Context, Contexts, change, contexts, well_named
from quorate.cli.connection.resolve import Service, TargetSources, called_service
from quorate.cli.options import complete_context, json_option, service_options
from quorate.cli.output.console import print_facts, print_json, print_table, remark, say
from quorate.domain.identity.api_keys import read_key

FROM_STDIN = "-"
STRONGER = ("QUORATE_URL", "QUORATE_API_KEY", "QUORATE_CONTEXT", "QUORATE_DATA_DIR")
SCHEMES = ("http://", "https://")
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
@click.option("--url", allow_from_autoenv=False, help="The service, as in http://127.0.0.1:8420.")
@click.option(
    "--api-key", allow_from_autoenv=False, help='Its key; "-" reads it from stdin, or asks for it.'
)
@click.option("--nats-url", allow_from_autoenv=False, help="Its NATS, for notifications over NATS.")
@click.option(
    "--data-dir",
    allow_from_autoenv=False,
    type=click.Path(file_okay=False, path_type=Path),
    help="A local service's data folder, in place of all these.",
)
@click.option("--agent", allow_from_autoenv=False, help="Whom to act as: a name or an id.")
@click.option("--use", is_flag=True, help="Use it from now on.")
@click.option("--replace", is_flag=True, help="Even if there is one of this name.")
def add(  # noqa: PLR0917 - click hands options over like this.
    name: str,
    url: str | None,
    api_key: str | None,
    nats_url: str | None,
    data_dir: Path | None,
    agent: str | None,
    use: bool,
    replace: bool,
) -> None:
    """Remember a service, and as whom to call it, as the context NAME.

    A local service is named by its data folder: it may be at another address next time. The key
    may be left out, and given by QUORATE_API_KEY at each call.
    """
    well_named(name)
    if data_dir is not None:
        if url or api_key or nats_url:
            raise click.UsageError("--data-dir says all that --url, --api-key and --nats-url say.")
        context = Context(data_dir=str(data_dir.expanduser().resolve()), agent=agent)
    else:
        key = _key_from_stdin() if api_key == FROM_STDIN else api_key
        context = Context(url=_address(url), api_key=_key(key), nats_url=nats_url, agent=agent)

    def with_it(known: Contexts) -> Contexts:
        more = known.with_one(name, context, replacing=replace)
        return more.using(name) if use else more

    in_use = " and in use" if change(with_it).current == name else ""
    say(f"Context {name} is known{in_use}.")


def _address(url: str | None) -> str:
    if url is None:
        raise click.UsageError("Give --url, or --data-dir for a local service.")
    if not url.startswith(SCHEMES):
        raise click.UsageError("--url begins with http:// or https://.")
    return url.rstrip("/")


def _key_from_stdin() -> str:
    if sys.stdin.isatty():
        return str(click.prompt("API key", hide_input=True, err=True))
    return sys.stdin.readline().strip()


def _key(text: str | None) -> str | None:
    if text is not None and read_key(text) is None:
        raise click.UsageError("That is no key: a mistyped or shortened one, perhaps.")
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
@click.option("--none", "none", is_flag=True, help="Use none: the local service again.")
def use(name: str | None, none: bool) -> None:
    """Call as the context NAME says, from now on."""
    if none == (name is not None):
        raise click.UsageError("Give the NAME of a context, or --none.")
    change(lambda known: known.using(name))
    say(f"Context {name} is in use." if name else "No context is in use.")
    for variable in STRONGER:
        if name is not None and os.environ.get(variable):
            remark(f"But {variable} is set in this shell, and beats it.")


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
    """List all contexts, and which one is in use."""
    found = contexts()
    if as_json:
        print_json([_as_json(found, name) for name in sorted(found.known)])
        return
    rows = [_row(found, name) for name in sorted(found.known)]
    print_table("Contexts", ("in use", "name", "service", "key", "agent"), rows)
    if found.current is None:
        remark("No context is in use: without one, the local service is called.")


def _as_json(found: Contexts, name: str) -> dict[str, Any]:
    context = found.known[name]
    return {
        "name": name,
        "current": name == found.current,
        "url": context.url,
        "natsUrl": context.nats_url,
        "dataDir": context.data_dir,
        "keyId": _key_id(context.api_key),
        "agent": context.agent,
    }


def _row(found: Contexts, name: str) -> tuple[str, ...]:
    context = found.known[name]
    return (
        "yes" if name == found.current else "",
        name,
        context.url or context.data_dir or "",
        _key_id(context.api_key) or "",
        context.agent or "",
    )


def _key_id(key: str | None) -> str | None:
    """What may be shown of a key."""
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
def show(where: TargetSources, as_json: bool) -> None:
    """Tell which service a command would call now, as whom, and what says so."""
    service = called_service(where)
    key_id = _key_id(service.api_key)
    if as_json:
        print_json(
            {
                "url": service.url,
                "urlFrom": service.url_from,
                "natsUrl": service.nats_url,
                "keyId": key_id,
                "keyFrom": service.key_from,
                "agent": service.agent,
                "agentFrom": service.agent_from or None,
            }
        )
        return
    facts = {
        "address from": service.url_from,
        "key": f"{key_id or 'not one of ours'}, from {service.key_from}",
        "acting as": _acting_as(service),
    }
    if service.nats_url:
        facts["NATS"] = service.nats_url
    print_facts(f"Commands go to {service.url}.", facts)


def _acting_as(service: Service) -> str:
    if service.agent is None:
        return "whom the key or --agent-name says"
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
def remove(name: str) -> None:
    """Forget the context NAME and its key.

    The key itself stays valid: `quorate keys revoke` ends it.
    """
    in_use = contexts().current == name
    change(lambda known: known.without(name))
    say(f"Context {name} is forgotten{', and none is in use' if in_use else ''}.")
