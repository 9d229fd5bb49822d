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
from quorate.cli.output.console import OUTPUT, OUTPUTS, PROGRAM_OUTPUTS
from quorate.cli.parameter_types import IntegerRange
from quorate.runtime.service_defaults import find_default_data_dir

DATABASE = "quorate.db"
JSON_VARIABLE = "QUORATE_JSON"
AGENT_VARIABLE = "QUORATE_AGENT"
ADMIN_KEY_VARIABLE = "QUORATE_ADMIN_KEY"
LIST_LIMIT_MAX = 10_000
LIST_LIMIT_DEFAULT = 1_000
Command = TypeVar("Command", bound=Callable[..., Any])


def require_default_data_dir() -> Path:
    """Return the default data directory; raises UsageError for a user without a home directory."""
    found = find_default_data_dir()
    if found is None:
        raise click.UsageError("Missing option '--data-dir': the user has no home directory.")
    return found


def data_dir_option(help_text: str) -> Callable[[Command], Command]:
    return click.option(
        "--data-dir",
        envvar="QUORATE_DATA_DIR",
        type=click.Path(file_okay=False, path_type=Path),
        default=require_default_data_dir,
        show_default="the user's data directory",
        help=help_text,
    )


def complete_context(_ctx: Any, _param: Any, incomplete: str) -> list[CompletionItem]:  # noqa: ANN401 - click's own signature.
    from quorate.cli.connection.profiles import contexts

    return [CompletionItem(one) for one in contexts().known if one.startswith(incomplete)]


# -- Output format ---------------------------------------------------------------


def _choose_output(ctx: click.Context, _param: click.Parameter, chosen: str | None) -> str | None:
    """Keep the format for ``print_json`` and ``print_table``."""
    if chosen is not None:
        ctx.meta[OUTPUT] = chosen
    return chosen


def _choose_json(ctx: click.Context, param: click.Parameter, chosen: bool | None) -> bool:
    """Whether to print for programs: by ``-o`` or ``--json``, else unless stdout is a terminal.

    ``--output`` is parsed first. The command line has precedence over the environment.
    """
    output = ctx.meta.get(OUTPUT)
    typed = ctx.get_parameter_source(param.name or "") is ParameterSource.COMMANDLINE
    if output is not None and typed:
        if ctx.get_parameter_source("output") is ParameterSource.COMMANDLINE:
            raise click.UsageError("--output and --json exclude each other.")
        output = None
        del ctx.meta[OUTPUT]
    if output is not None:
        return output in PROGRAM_OUTPUTS
    return chosen if chosen is not None else not sys.stdout.isatty()


_OUTPUT = (
    click.option(
        "-o",
        "--output",
        type=click.Choice(OUTPUTS),
        metavar="FORMAT",
        is_eager=True,
        expose_value=False,
        callback=_choose_output,
        help="table, wide (with ids and full times), json or yaml. [default: table at a terminal, "
        "else json]",
    ),
    click.option(
        "--json/--no-json",
        "as_json",
        default=None,
        envvar=JSON_VARIABLE,
        callback=_choose_json,
        help="Same as -o json and -o table.",
    ),
)


def json_option(command: Command) -> Command:
    """Add ``-o/--output`` and ``--json``, passed as ``as_json``: whether to print for programs."""
    for decorate in reversed(_OUTPUT):
        command = decorate(command)
    return command


quiet_option = click.option("-q", "--quiet", is_flag=True, help="Print only the id.")
limit_option = click.option(
    "--limit",
    type=IntegerRange(1, LIST_LIMIT_MAX),
    default=LIST_LIMIT_DEFAULT,
    show_default=True,
    help="Maximum number of items to list.",
)


# -- The past --------------------------------------------------------------------

AS_OF = "quorate.as_of"


def _choose_moment(ctx: click.Context, _param: click.Parameter, moment: str | None) -> None:
    """Keep the moment for ``ApiClient``, which names it in every request that it sends."""
    if moment is not None:
        ctx.meta[AS_OF] = moment


as_of_option = click.option(
    "--as-of",
    metavar="MOMENT",
    expose_value=False,
    callback=_choose_moment,
    help="Show the state of this moment: a sequence, or a time such as 2026-03-01T12:00:00Z.",
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
        default_data_dir=find_default_data_dir(),
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


# -- Contact -----------------------------------------------------------------------


def contact_argument(help_text: str) -> Callable[[Command], Command]:
    """Add ``CONTACT``, or ``--contact-email`` in its place, passed as ``contact_email``."""

    def decorate(command: Command) -> Command:
        @wraps(command)
        def with_contact(**given: Any) -> Any:  # noqa: ANN401 - the values from click.
            typed, option = given.pop("contact"), given.pop("contact_email")
            if typed is not None and option is not None and typed != option:
                raise click.UsageError("CONTACT and --contact-email name different contacts.")
            if typed is None and option is None:
                raise click.UsageError("Missing argument 'CONTACT'.")
            return command(contact_email=typed if option is None else option, **given)

        option = click.option(
            "--contact-email", allow_from_autoenv=False, help=f"{help_text} Same as CONTACT."
        )
        decorated: Any = click.argument("contact", required=False, metavar="CONTACT")(
            option(with_contact)
        )
        return decorated  # type: ignore[no-any-return]  # The same command, with parameters.

    return decorate
