"""Options that several commands share: the service to call, the acting agent, the output format.

Each option can also be set in the environment. The values of the command line and of the
environment are kept apart, because the command line has precedence (cli/connection/resolve.py).
"""

import os
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource
from click.shell_completion import CompletionItem

from quorate.cli.connection.resolve import TargetOptions, TargetSources
from quorate.cli.output.console import format_minutes
from quorate.runtime.service_defaults import default_data_dir

DATABASE = "quorate.db"
JSON_VARIABLE = "QUORATE_JSON"
AGENT_VARIABLE = "QUORATE_AGENT"
ADMIN_KEY_VARIABLE = "QUORATE_ADMIN_KEY"
LIST_LIMIT_MAX = 10_000
LIST_LIMIT_DEFAULT = 1_000
Command = TypeVar("Command", bound=Callable[..., Any])


def data_dir_option(help_text: str) -> Callable[[Command], Command]:
    return click.option(
        "--data-dir",
        envvar="QUORATE_DATA_DIR",
        type=click.Path(file_okay=False, path_type=Path),
        default=default_data_dir,
        show_default="the user's data directory",
        help=help_text,
    )


def complete_context(_ctx: Any, _param: Any, incomplete: str) -> list[CompletionItem]:  # noqa: ANN401 - click's own signature.
    from quorate.cli.connection.profiles import contexts

    return [CompletionItem(one) for one in contexts().known if one.startswith(incomplete)]


class Minutes(click.ParamType[float]):
    """A duration in minutes; a value outside the bounds is rejected with the bounds."""

    name = "minutes"

    def __init__(self, minimum: float, maximum: float) -> None:
        self._minimum = minimum
        self._maximum = maximum

    def convert(
        self,
        value: Any,  # noqa: ANN401 - click's own signature.
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> float:
        minutes = float(click.FLOAT.convert(value, param, ctx))
        if not self._minimum <= minutes <= self._maximum:  # NaN is rejected too.
            bounds = f"{format_minutes(self._minimum)} to {format_minutes(self._maximum)}"
            self.fail(f"{value} is outside the range {bounds}.", param, ctx)
        return minutes


# -- Output format ---------------------------------------------------------------


def _choose_json(_ctx: click.Context, _param: click.Parameter, chosen: bool | None) -> bool:
    """Return the chosen format, by default JSON unless stdout is a terminal."""
    return chosen if chosen is not None else not sys.stdout.isatty()


json_option = click.option(
    "--json/--no-json",
    "as_json",
    default=None,
    envvar=JSON_VARIABLE,
    callback=_choose_json,
    help="Print JSON, or text and tables. [default: text at a terminal, else JSON]",
)
quiet_option = click.option("-q", "--quiet", is_flag=True, help="Print only the id.")
limit_option = click.option(
    "--limit",
    type=click.IntRange(1, LIST_LIMIT_MAX),
    default=LIST_LIMIT_DEFAULT,
    show_default=True,
    help="Maximum number of items to list.",
)

# -- Service to call -------------------------------------------------------------

_SERVICE = (
    click.option("--url", help="URL of the service, e.g. http://127.0.0.1:8420."),
    click.option(
        "--api-key",
        help="API key. Prefer QUORATE_API_KEY or a context: other users can see arguments.",
    ),
    click.option(
        "--context",
        shell_complete=complete_context,
        help="Context created with `quorate context add`. [default: the current context]",
    ),
    click.option(
        "--data-dir",
        type=click.Path(file_okay=False, path_type=Path),
        help="Data directory of a local service; its credentials.json is read. "
        "[default: the user's data directory]",
    ),
)


def service_options(command: Command) -> Command:
    """Add ``--url --api-key --context --data-dir``, passed as ``sources``."""

    @wraps(command)
    def with_sources(**given: Any) -> Any:  # noqa: ANN401 - the values from click.
        names = ("url", "api_key", "context", "data_dir")
        values = {name: given.pop(name) for name in names}
        sources = _collect_sources(values, as_json=given.get("as_json", False))
        return command(sources=sources, **given)

    wrapped: Any = with_sources
    for decorate in reversed(_SERVICE):
        wrapped = decorate(wrapped)
    return wrapped  # type: ignore[no-any-return]  # The same command, with options.


def _collect_sources(values: dict[str, Any], *, as_json: bool) -> TargetSources:
    ctx = click.get_current_context()
    typed = {
        name: value
        for name, value in values.items()
        if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE
    }
    from_environment = {
        name: value for name, value in values.items() if name not in typed and value
    }
    environment = TargetOptions(
        **from_environment,
        agent=os.environ.get(AGENT_VARIABLE) or None,
        admin_key=os.environ.get(ADMIN_KEY_VARIABLE) or None,
    )
    return TargetSources(
        command_line=TargetOptions(**typed),
        environment=environment,
        default_data_dir=default_data_dir(),
        as_json=as_json,
    )


# -- Acting agent ----------------------------------------------------------------

_AGENT = (
    click.option(
        "--agent-name",
        allow_from_autoenv=False,  # QUORATE_AGENT holds a name or an id.
        help="Name of the acting agent. [default: QUORATE_AGENT, the context's agent, or the "
        "agent of the key]",
    ),
    click.option("--agent-id", allow_from_autoenv=False, help="Agent id instead of the name."),
)


def agent_options(command: Command) -> Command:
    """Add ``--agent-name --agent-id``; ``resolve_agent`` finds the agent that they name."""
    for decorate in reversed(_AGENT):
        command = decorate(command)
    return command
