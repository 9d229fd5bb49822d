"""`quorate credentials`: the credentials that a service writes into its data directory."""

import json
from pathlib import Path
from typing import Any

import click

from quorate.cli.options import data_dir_option, json_option
from quorate.cli.output.console import print_details, print_hint, print_json, print_line
from quorate.cli.output.errors import NOT_FOUND, Failure
from quorate.domain.identity.key_format import read_key
from quorate.runtime.url_redaction import redact_url

FILE = "credentials.json"
FIELDS = {"url": "url", "nats-url": "natsUrl", "api-key": "apiKey", "admin-key": "adminKey"}


@click.command(
    epilog="""
\b
Examples:
  quorate credentials show
  export QUORATE_API_KEY=$(quorate credentials show api-key)
  curl -s -H "Authorization: Bearer $(quorate credentials show api-key)" \\
    "$(quorate credentials show url)/v1/agent/agents"
"""
)
@click.argument("field", type=click.Choice(tuple(FIELDS)), required=False)
@data_dir_option("Data directory of a local service.")
@json_option
def show(field: str | None, data_dir: Path, as_json: bool) -> None:
    """Show the addresses and the ids of the keys of a local service, or one FIELD.

    A FIELD is printed without anything else; only so a key is printed in full.
    """
    path = data_dir.expanduser() / FILE
    known = _read(path)
    if field is not None:
        value = known.get(FIELDS[field])
        if not isinstance(value, str):
            raise Failure(f"{path} has no {field}", NOT_FOUND)
        print_line(value)
        return
    shown = {name: _hide(known.get(name)) for name in FIELDS.values()}
    if as_json:
        print_json({"file": str(path), **shown})
    else:
        labels = {name: str(shown[key]) for name, key in FIELDS.items() if shown[key] is not None}
        print_details(f"Credentials in {path}:", labels)
        print_hint("Print a key with `quorate credentials show api-key`.")


def _read(path: Path) -> dict[str, Any]:
    try:
        known = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise Failure(
            f"No credentials found at {path}", NOT_FOUND, "start a service with `quorate serve`"
        ) from None
    except OSError as error:
        raise Failure(f"Cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise Failure(f"{path} is not a valid credentials file") from error
    if not isinstance(known, dict):
        raise Failure(f"{path} is not a valid credentials file")
    return known


def _hide(value: object) -> str | None:
    """Return a key as its public id, and a URL without its password."""
    if not isinstance(value, str):
        return None
    known = read_key(value)
    return redact_url(value) if known is None else f"key {known[0]}"
