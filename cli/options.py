"""Options that several verbs share: whom to call, who acts, and how to print.

Each can also be set in the environment. What was said where is kept apart, because the command
line beats the environment (cli/connection/resolve.py).
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
from quorate.cli.output.console import span

DATABASE = "quorate.db"
JSON_VARIABLE = "QUORATE_JSON"
AGENT_VARIABLE = "QUORATE_AGENT"
ADMIN_KEY_VARIABLE = "QUORATE_ADMIN_KEY"
LISTED_MAX = 10_000
LISTED_DEFAULT = 1_000
Command = TypeVar("Command", bound=Callable[..., Any])


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


def complete_context(_ctx: Any, _param: Any, incomplete: str) -> list[CompletionItem]:  # noqa: ANN401 - click's own signature.
    from quorate.cli.connection.profiles import contexts

    return [CompletionItem(one) for one in contexts().known if one.startswith(incomplete)]


class Minutes(click.ParamType[float]):
    """A length of time, within bounds that are told when they are passed."""

    name = "minutes"

    def __init__(self, least: float, most: float) -> None:
        self._least = least
        self._most = most

    def convert(
        self,
        value: Any,  # noqa: ANN401 - click's own signature.
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> float:
        minutes = float(click.FLOAT.convert(value, param, ctx))
        if not self._least <= minutes <= self._most:  # NaN is not, either.
            self.fail(f"{value}: it is {span(self._least)} to {span(self._most)}.", param, ctx)
        return minutes


# -- How to print ----------------------------------------------------------------


def _for_programs(_ctx: click.Context, _param: click.Parameter, chosen: bool | None) -> bool:
    """The one rule: as it was chosen, else JSON wherever nobody looks on."""
    return chosen if chosen is not None else not sys.stdout.isatty()


json_option = click.option(
    "--json/--no-json",
    "as_json",
    default=None,
    envvar=JSON_VARIABLE,
    callback=_for_programs,
    help="Print JSON, or words and tables. [default: JSON unless at a terminal]",
)
quiet_option = click.option("-q", "--quiet", is_flag=True, help="Print the id and nothing else.")
limit_option = click.option(
    "--limit",
    type=click.IntRange(1, LISTED_MAX),
    default=LISTED_DEFAULT,
    show_default=True,
    help="List at most so many.",
)

# -- Whom to call ----------------------------------------------------------------

_SERVICE = (
    click.option("--url", help="The service, as in http://127.0.0.1:8420."),
    click.option("--api-key", help="Its key. Better in QUORATE_API_KEY or a context."),
    click.option(
        "--context",
        shell_complete=complete_context,
        help="A context that `quorate context add` named. [default: the one in use]",
    ),
    click.option(
        "--data-dir",
        type=click.Path(file_okay=False, path_type=Path),
        help="A local service's data folder, for its credentials. [default: the user's]",
    ),
)


def service_options(command: Command) -> Command:
    """``--url --api-key --context --data-dir``, passed as ``where`` (cli/connection/resolve.py)."""

    @wraps(command)
    def with_where(**given: Any) -> Any:  # noqa: ANN401 - what click hands over.
        names = ("url", "api_key", "context", "data_dir")
        said = {name: given.pop(name) for name in names}
        return command(where=_where(said, as_json=given.get("as_json", False)), **given)

    wrapped: Any = with_where
    for decorate in reversed(_SERVICE):
        wrapped = decorate(wrapped)
    return wrapped  # type: ignore[no-any-return]  # The same command, with options.


def _where(said: dict[str, Any], *, as_json: bool) -> TargetSources:
    ctx = click.get_current_context()
    typed = {
        name: value
        for name, value in said.items()
        if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE
    }
    set_before = {name: value for name, value in said.items() if name not in typed and value}
    environment = TargetOptions(
        **set_before,
        agent=os.environ.get(AGENT_VARIABLE) or None,
        admin_key=os.environ.get(ADMIN_KEY_VARIABLE) or None,
    )
    return TargetSources(
        command_line=TargetOptions(**typed),
        environment=environment,
        default_data_dir=default_data_dir(),
        as_json=as_json,
    )


# -- Who acts --------------------------------------------------------------------

_AGENT = (
    click.option(
        "--agent-name",
        allow_from_autoenv=False,  # QUORATE_AGENT says either.
        help="Agent name. [default: QUORATE_AGENT, the context's agent, or the key's own]",
    ),
    click.option("--agent-id", allow_from_autoenv=False, help="Agent id, in place of its name."),
)


def agent_options(command: Command) -> Command:
    """``--agent-name --agent-id``; ``called.who`` tells which agent that means."""
    for decorate in reversed(_AGENT):
        command = decorate(command)
    return command
