"""`quorate presets`: apply presets from a TOML file, list, show and remove them."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from quorate.cli.connection.api import open_api
from quorate.cli.connection.resolve import TargetSources
from quorate.cli.options import (
    as_of_option,
    json_option,
    limit_option,
    quiet_option,
    service_options,
)
from quorate.cli.output.console import (
    format_table_time,
    print_hint,
    print_json,
    print_line,
    print_table,
)
from quorate.cli.output.errors import EXIT_CODES
from quorate.domain.sessions.presets import PresetInvalid, hints_of, normalized

if TYPE_CHECKING:
    from quorate.contracts.sessions.presets import PresetInfo

FILE_BYTES_MAX = 1_024 * 1_024


@click.command(
    epilog="""
\b
Examples:
  cat > presets.toml << END
  [agents.presets.observer]
  tools.allow = ["sessions_list", "sessions_history", "sessions_search"]
  sessions.key_prefix = "agent:research:"
  sessions.can_send = false
  END
  quorate presets apply presets.toml --dry-run
  quorate presets apply presets.toml
  quorate keys issue --role agent --agent-name watcher --preset observer
"""
    + EXIT_CODES
)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--dry-run", is_flag=True, help="Check the file, and change nothing.")
@service_options
@json_option
def apply(sources: TargetSources, file: Path, dry_run: bool, as_json: bool) -> None:
    """Create or replace the presets of the TOML file FILE.

    Each table [agents.presets.NAME] is one preset. Other tables are ignored. Presets that the file
    does not contain stay as they are. The whole file is checked before the first change.
    """
    from quorate.client import preset_requests

    presets = _read(file)
    checked = {name: _checked(file, name, fields) for name, fields in presets.items()}
    if dry_run:
        for name, fields in checked.items():
            print_line(f"Preset {name} is valid.")
            for hint in hints_of(fields):
                print_hint(f"  {hint}")
        return
    with open_api(sources) as api:
        applied = [
            api.call(preset_requests.put_preset(name, fields)) for name, fields in checked.items()
        ]
    if as_json:
        print_json([one.raw for one in applied])
        return
    for one in applied:
        print_line(f"Applied preset {one.name}.")
        for hint in one.hints:
            print_hint(f"  {hint}")


def _read(file: Path) -> Mapping[str, Mapping[str, Any]]:
    """Return the presets of a file by name; raise a usage error if it has none."""
    if file.stat().st_size > FILE_BYTES_MAX:
        raise click.UsageError(f"{file} is larger than {FILE_BYTES_MAX // 1_024} KiB.")
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise click.UsageError(f"{file} is not valid TOML: {error}") from None
    agents = content.get("agents")
    presets = agents.get("presets") if isinstance(agents, Mapping) else None
    if not isinstance(presets, Mapping) or not presets:
        raise click.UsageError(f"{file} contains no table [agents.presets.NAME].")
    return presets


def _checked(file: Path, name: str, fields: object) -> dict[str, Any]:
    if not isinstance(fields, Mapping):
        raise click.UsageError(f"{file}: agents.presets.{name} is not a table.")
    try:
        return normalized(fields)
    except PresetInvalid as error:
        raise click.UsageError(
            f"{file}: agents.presets.{name}.{error.path}: {error.why}."
        ) from None


@click.command(
    "list",
    epilog="""
\b
Examples:
  quorate presets list
  quorate presets list --json
"""
    + EXIT_CODES,
)
@service_options
@limit_option
@json_option
@quiet_option
@as_of_option
def list_presets(sources: TargetSources, limit: int, as_json: bool, quiet: bool) -> None:
    """List the presets of the tenant."""
    from quorate.client import preset_requests

    with open_api(sources) as api:
        found = api.call(preset_requests.list_presets(limit=limit))
    if quiet:
        for one in found:
            print_line(one.name)
    elif as_json:
        print_json([one.raw for one in found])
    else:
        columns = ("name", "tools", "sessions", "updated")
        print_table("Presets", columns, [_row(one) for one in found])


def _row(preset: "PresetInfo") -> tuple[str, ...]:
    return (
        preset.name,
        _tools_text(preset.preset.get("tools", {})),
        _sessions_text(preset.preset.get("sessions")),
        format_table_time(preset.updated_at),
    )


def _tools_text(tools: Mapping[str, Any]) -> str:
    allowed = tools.get("allow")
    text = "all" if allowed is None else f"{len(allowed)} allowed"
    denied = tools.get("deny", ())
    return f"{text}, {len(denied)} denied" if denied else text


def _sessions_text(rule: Mapping[str, Any] | None) -> str:
    """Say which sessions are visible, in a few words."""
    if not rule:
        return "all"
    parts = []
    if "key_prefix" in rule:
        parts.append(f"{rule['key_prefix']}*")
    if "allowed_keys" in rule:
        parts.append(f"{len(rule['allowed_keys'])} by key")
    if not parts:
        parts.append("all" if rule.get("cross_agent") else "own")
    if not rule.get("can_send", True):
        parts.append("read only")
    return ", ".join(parts)


@click.command(
    epilog="""
\b
Examples:
  quorate call putPreset --preset-name observer --model small
  quorate presets get observer
"""
    + EXIT_CODES,
)
@click.argument("name")
@service_options
@as_of_option
def get(sources: TargetSources, name: str) -> None:
    """Show the preset NAME as JSON."""
    from quorate.client import preset_requests

    with open_api(sources) as api:
        print_json(api.call(preset_requests.get_preset(name)).raw)


@click.command(
    epilog="""
\b
Examples:
  quorate call putPreset --preset-name observer --model small
  quorate presets remove observer
"""
    + EXIT_CODES,
)
@click.argument("name")
@service_options
@json_option
def remove(sources: TargetSources, name: str, as_json: bool) -> None:
    """Remove the preset NAME. Keys that are bound to it may use no tool then."""
    from quorate.client import preset_requests

    with open_api(sources) as api:
        removed = api.call(preset_requests.delete_preset(name))
    if as_json:
        print_json(removed.raw)
    else:
        print_line(f"Removed preset {name}.")
