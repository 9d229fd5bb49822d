"""Options that several verbs share, and where their values come from when they are left out.

An option beats the environment, and both beat the credentials that a local service wrote.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import click

from quorate.cli.failures import UNAUTHORIZED, Failure

CREDENTIALS = "credentials.json"
DATABASE = "quorate.db"
Command = TypeVar("Command", bound=Callable[..., Any])


class Service(NamedTuple):
    """Where to call, and as whom."""

    url: str
    api_key: str


def default_data_dir() -> Path:
    """Where a local service keeps its data unless told otherwise."""
    import platformdirs

    return Path(platformdirs.user_data_dir("quorate"))


def data_dir_option(help_text: str) -> Callable[[Command], Command]:
    return click.option(
        "--data-dir",
        envvar="QUORATE_DATA_DIR",
        type=click.Path(file_okay=False, path_type=Path),
        default=default_data_dir,
        show_default="the user's data folder",
        help=help_text,
    )


def service_options(command: Command) -> Command:
    """``--url``, ``--api-key`` and ``--data-dir``, as ``called_service`` wants them."""
    decorators = (
        click.option(
            "--url", envvar="QUORATE_URL", help="The service, as in http://127.0.0.1:8420."
        ),
        click.option(
            "--api-key", envvar="QUORATE_API_KEY", help="Its key. Better in QUORATE_API_KEY."
        ),
        data_dir_option("The local service whose credentials.json says what is left out."),
    )
    for decorate in reversed(decorators):
        command = decorate(command)
    return command


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")


def called_service(url: str | None, api_key: str | None, data_dir: Path) -> Service:
    """What was given, completed from the local service's credentials; raises Failure."""
    if url and api_key:
        return Service(url, api_key)
    path = data_dir.expanduser() / CREDENTIALS
    known = _credentials(path)
    url, api_key = url or known.get("url"), api_key or known.get("apiKey")
    if not url or not api_key:
        missing = "--url (or QUORATE_URL)" if not url else "--api-key (or QUORATE_API_KEY)"
        raise Failure(f"Give {missing}: there are no credentials at {path}", UNAUTHORIZED)
    return Service(url, api_key)


def _credentials(path: Path) -> dict[str, Any]:
    try:
        known = json.loads(path.read_text("utf-8"))
    except OSError:
        return {}
    except ValueError as error:
        raise Failure(f"{path} is not what `quorate serve` wrote: remove it") from error
    return known if isinstance(known, dict) else {}
