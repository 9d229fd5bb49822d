"""Names of commands, their aliases, suggestions, and what every help has in common."""

import re

import click
import pytest
from click.testing import CliRunner

from quorate.cli.main import quorate
from tests.e2e.cli.conftest import Run
from tests.e2e.cli.test_help_examples import COMMANDS, OTHER_NAMES

GROUPS = [(), *sorted({path[:length] for path in COMMANDS for length in range(1, len(path))})]
# Commands with an API client that only read; all others of these groups change something.
READING = {
    *("get", "list", "votes", "config", "self", "show", "whoami", "tail", "export"),
    *("read", "watch", "attachment"),
}
CHANGING_GROUPS = {"agents", "lease", "proposals", "mail", "keys", "tenants", "context"}
OWN_OUTPUT = {("lease", "run")}  # Standard output belongs to the program that it runs.


def command_at(*words: str) -> click.Command | None:
    """Resolve a command as the command line does."""
    command: click.Command = quorate
    for word in words:
        assert isinstance(command, click.Group)
        context = click.Context(command)
        found = command.get_command(context, word)
        if found is None:
            return None
        command = found
    return command


@pytest.mark.parametrize("path", [*GROUPS, *COMMANDS], ids=" ".join)
def test_short_and_long_help_option_are_the_same(path: tuple[str, ...]) -> None:
    short, long = (CliRunner().invoke(quorate, [*path, one]) for one in ("-h", "--help"))

    assert short.exit_code == 0
    assert short.stdout == long.stdout


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("agent ls", "agents list"),
        ("agents show", "agents get"),
        ("leases list", "lease list"),
        ("lease ls", "lease list"),
        ("proposal create", "proposals create"),
        ("consensus vote", "proposals vote"),
        ("key get", "keys get"),
        ("tenant create", "tenants create"),
        ("event tail", "events tail"),
        ("contexts get", "context show"),
        ("context rm", "context remove"),
        ("agents lease", "lease acquire"),
        ("agents renew-lease", "lease renew"),
        ("agents release-lease", "lease release"),
        ("agents leases", "lease list"),
        ("agents request-send", "lease request-send"),
        ("agents consensus create", "proposals create"),
        ("keys self", "whoami"),
        ("mail show", "mail read"),
    ],
)
def test_command_has_several_names(typed: str, meant: str) -> None:
    found = command_at(*typed.split())

    assert found is not None
    assert found is command_at(*meant.split())


def test_nouns_of_verbs_are_not_aliases() -> None:
    assert command_at("agents", "registers") is None
    assert command_at("serves") is not None, "only the first word has a singular and a plural"


@pytest.mark.parametrize("path", OTHER_NAMES, ids=" ".join)
def test_other_names_are_those_of_listed_commands(path: tuple[str, ...]) -> None:
    same = [one for one, command in COMMANDS.items() if command is COMMANDS[path]]

    assert len(same) > 1


@pytest.mark.parametrize(
    ("words", "suggestion"),
    [
        (("agnets", "list"), "Did you mean 'agents'?"),
        (("register",), "Did you mean 'agents register'?"),
        (("acquire",), "Did you mean 'lease acquire'?"),
        (("lease", "aquire"), "Did you mean 'acquire'?"),
        (("keys", "lst"), "Did you mean 'list'?"),
        (("proposals", "votez"), "Did you mean"),
        (("agents", "list", "--limt", "1"), "Did you mean one of: '--limit'"),
    ],
    ids=" ".join,
)
def test_mistyped_name_gets_a_suggestion(run: Run, words: tuple[str, ...], suggestion: str) -> None:
    result = run(*words)

    assert result.exit_code == 2
    assert suggestion in result.stderr


def test_unrelated_name_gets_no_suggestion(run: Run) -> None:
    assert "Did you mean" not in run("xyzzy").stderr


@pytest.mark.parametrize(
    "path", [path for path in COMMANDS if path[0] in CHANGING_GROUPS], ids=" ".join
)
def test_every_changing_command_can_be_quiet(path: tuple[str, ...]) -> None:
    options = {name for param in COMMANDS[path].params for name in param.opts}

    assert path[-1] in READING or path in OWN_OUTPUT or "--quiet" in options


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_ranges_are_written_in_words(path: tuple[str, ...]) -> None:
    if path == ("log", "archive"):
        pytest.skip("its only range is a number of days")
    shown = CliRunner().invoke(quorate, [*path, "--help"]).stdout

    assert re.findall(r"<=?x|x<=?|x>=?|RANGE", shown) == []


def test_options_of_the_service_are_grouped() -> None:
    shown = CliRunner().invoke(quorate, ["serve", "--help"], terminal_width=80).stdout
    headings = re.findall(r"^([A-Z][A-Za-z ]+):$", shown, re.MULTILINE)

    assert headings[:4] == ["Options", "NATS", "Database", "Rate limits"]
    first = shown.partition("NATS:")[0]
    assert "--host" in first
    assert "--quota-agents" in shown.partition("Quotas per tenant:")[2]
    assert "1000000000" not in shown
