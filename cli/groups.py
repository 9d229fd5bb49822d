"""Command groups that answer a misspelled name with the closest command."""

from collections.abc import Iterable
from difflib import get_close_matches

import click


class SuggestingGroup(click.Group):
    """A group whose commands come from ``list_commands`` and ``get_command``."""

    def names_like(self, ctx: click.Context, name: str) -> Iterable[str]:
        """Return the names to choose a suggestion from."""
        del name
        return self.list_commands(ctx)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        is_option = name.startswith("-")
        if not (is_option or ctx.resilient_parsing) and self.get_command(ctx, name) is None:
            close = get_close_matches(name, list(self.names_like(ctx, name)), n=1)
            suggestion = f" Did you mean {close[0]!r}?" if close else ""
            ctx.fail(f"No such command {name!r}.{suggestion}")
        return super().resolve_command(ctx, args)
