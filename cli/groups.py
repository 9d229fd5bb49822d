"""Command groups: commands that are imported on demand, aliases, and suggestions for typing errors.

* A group imports a command only when it runs or is listed, so a command starts fast.
* An alias is accepted everywhere and listed nowhere: `ls` for `list`, the other grammatical number
  of a noun (`leases` for `lease`), and the aliases of a group.
* Text that is not valid Unicode is a usage error that names the parameter: no request can carry it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import wraps
from importlib import import_module
from typing import Any

import click

ENVIRONMENT_PREFIX = "QUORATE"
MAX_SHORT_HELP_LENGTH = 200
SUGGESTIONS_MAX = 3
CLEAR_MATCH = 0.85  # One letter is wrong: no other suggestion is needed.
HELP_OPTIONS = {"help_option_names": ["-h", "--help"]}
_VERB_ALIASES: Mapping[str, str] = {"ls": "list"}
_FILE_PARAMETERS = frozenset({"file"})  # A file name need not be valid Unicode.


class SuggestingGroup(click.Group):
    """A group whose commands come from ``list_commands`` and ``get_command``."""

    def names_like(self, ctx: click.Context, name: str) -> Iterable[str]:
        """Return the names to choose a suggestion from."""
        del name
        return self.list_commands(ctx)

    def names_elsewhere(self, ctx: click.Context, name: str) -> Iterable[str]:
        """Return commands of this name in other groups, with the name of the group."""
        del ctx, name
        return ()

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        is_option = name.startswith("-")
        if not (is_option or ctx.resilient_parsing) and self.get_command(ctx, name) is None:
            ctx.fail(f"No such command {name!r}.{self._suggestion(ctx, name)}")
        resolved, command, rest = super().resolve_command(ctx, args)
        if command is not None:
            _check_text_before(command)
        return resolved, command, rest

    def _suggestion(self, ctx: click.Context, name: str) -> str:
        names = list(self.names_like(ctx, name))
        close = (
            list(self.names_elsewhere(ctx, name))[:SUGGESTIONS_MAX]
            or get_close_matches(name, names, n=1, cutoff=CLEAR_MATCH)
            or get_close_matches(name, names, n=SUGGESTIONS_MAX)
        )
        if len(close) > 1:
            return f" Did you mean one of: {', '.join(map(repr, close))}?"
        return f" Did you mean {close[0]!r}?" if close else ""


class LazyGroup(SuggestingGroup):
    """A command group that imports its commands on demand and lists them under headings.

    ``commands`` has the place of each command, ``module:attribute``, by heading and name. With
    ``nouns`` the group also accepts the singular or plural of each name.
    """

    def __init__(
        self,
        name: str,
        commands: Mapping[str, Mapping[str, str]],
        help: str,  # noqa: A002 - the name that click defines.
        epilog: str | None = None,
        *,
        aliases: Mapping[str, str] | None = None,
        nouns: bool = False,
    ) -> None:
        super().__init__(
            name, help=help, epilog=epilog, no_args_is_help=True, context_settings=HELP_OPTIONS
        )
        self._headings = commands
        self._paths = {
            command_name: path
            for section in commands.values()
            for command_name, path in section.items()
        }
        self._aliases = {**_VERB_ALIASES, **(aliases or {})}
        self._nouns = nouns

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(self._paths)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        name = self.listed_name(cmd_name)
        if name is None:
            return None
        module, _, attribute = self._paths[name].partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        command.context_settings.setdefault("auto_envvar_prefix", ENVIRONMENT_PREFIX)
        return command

    def listed_name(self, name: str) -> str | None:
        """Return the name under which the command is listed, if there is one."""
        candidates = [name, self._aliases.get(name, name)]
        if self._nouns:
            candidates.append(name.removesuffix("s") if name.endswith("s") else f"{name}s")
        return next((one for one in candidates if one in self._paths), None)

    def names_elsewhere(self, ctx: click.Context, name: str) -> Iterator[str]:
        if not self._nouns:
            return
        for group_name in self._paths:
            group = self.get_command(ctx, group_name)
            if isinstance(group, LazyGroup) and (found := group.listed_name(name)) is not None:
                yield f"{group_name} {found}"

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


class SectionedCommand(click.Command):
    """A command whose help lists its options under headings.

    ``headings`` has the heading of each option by the beginning of its parameter name; the first
    match counts. Other options are listed first.
    """

    headings: Sequence[tuple[str, str]] = ()

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            shown = param.get_help_record(ctx)
            if shown is not None:
                sections.setdefault(self._heading(param.name or ""), []).append(shown)
        for heading in dict.fromkeys(["Options", *(one for _, one in self.headings)]):
            if heading in sections:
                with formatter.section(heading):
                    formatter.write_dl(sections[heading])

    def _heading(self, name: str) -> str:
        found = (heading for prefix, heading in self.headings if name.startswith(prefix))
        return next(found, "Options")


# -- Text ------------------------------------------------------------------------

_checked: set[click.Command] = set()


def _check_text_before(command: click.Command) -> None:
    """Make the command reject invalid text before it runs."""
    callback = command.callback
    if callback is None or command in _checked:
        return

    @wraps(callback)
    def checked(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - the values from click.
        ctx = click.get_current_context()
        for param in ctx.command.params:
            _require_unicode(ctx, param)
        return callback(*arguments, **options)

    command.callback = checked
    _checked.add(command)


def _require_unicode(ctx: click.Context, param: click.Parameter) -> None:
    if not isinstance(param.type, click.types.StringParamType) or param.name in _FILE_PARAMETERS:
        return
    value = ctx.params.get(param.name or "")
    for text in value if isinstance(value, tuple) else (value,):
        if isinstance(text, str) and not is_unicode(text):
            raise click.BadParameter("not valid Unicode text.", ctx=ctx, param=param)


def is_unicode(text: str) -> bool:
    """Whether the text can be encoded: it has no half of a surrogate pair.

    An argument that is not valid in the encoding of the locale has them.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
