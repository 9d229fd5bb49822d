"""Console output: JSON for programs, tables for people, untrusted text neutralized."""

import os
import re
import subprocess
import sys

import orjson
import pytest

from quorate.cli.output.console import print_table
from tests.e2e.cli.conftest import Run
from tests.e2e.cli.terminal import Terminal, run_in_terminal
from tests.e2e.service.service_process import ServiceProcess, environment

HOSTILE = "\x1b]0;owned\x07\x1b[2J[bold]x[/bold] :smile: \u202eesrever\nRequests: none"
ID = "01a1fbc1-3b54-788c-a0a5-f0082570796a"
ESCAPE = "\x1b"
STYLING = re.compile(r"\x1b\[[0-9;]*m")  # Colors and styles, which the tables may contain.


@pytest.fixture
def variables(tenant: Terminal, real: ServiceProcess) -> dict[str, str]:
    """Environment of a shell with the tenant key and without an output format."""
    del tenant
    key = os.environ["QUORATE_API_KEY"]
    return environment(
        QUORATE_DATA_DIR=str(real.data_dir),
        QUORATE_API_KEY=key,
        XDG_CONFIG_HOME=os.environ["XDG_CONFIG_HOME"],
    )


def run_in_pipe(words: tuple[str, ...], variables: dict[str, str]) -> str:
    return subprocess.run(
        [sys.executable, "-m", "quorate.cli.main", *words],
        env=variables,
        capture_output=True,
        text=True,
        check=True,
    ).stdout


# -- Output format ----------------------------------------------------------------


def test_output_is_a_table_at_a_terminal_and_json_in_a_pipe(variables: dict[str, str]) -> None:
    code, seen = run_in_terminal(("agents", "list"), variables, columns=200)
    read = run_in_pipe(("agents", "list"), variables)

    assert code == 0
    assert "ann" in seen
    assert "{" not in seen
    assert [one["agentName"] for one in orjson.loads(read)] == ["ann", "bob"]


def test_json_options_override_the_default_format(variables: dict[str, str]) -> None:
    _, seen = run_in_terminal(("agents", "list", "--json"), variables)
    table = run_in_pipe(("agents", "list", "--no-json"), variables)
    chosen = run_in_pipe(("agents", "list"), {**variables, "QUORATE_JSON": "0"})

    assert len(orjson.loads(seen)) == 2
    assert table == chosen
    assert table.startswith("Agents")


# -- At a terminal ----------------------------------------------------------------


def test_colors_are_printed_only_to_capable_terminals(variables: dict[str, str]) -> None:
    _, coloured = run_in_terminal(("agents", "list"), variables, columns=200)
    _, plain = run_in_terminal(("agents", "list"), {**variables, "NO_COLOR": "1"}, columns=200)

    assert "\x1b[32mactive" in coloured
    assert "\x1b[32m" not in plain
    assert "active" in plain


@pytest.mark.parametrize("columns", [20, 40, 80, 300])
def test_untrusted_text_is_neutralized_in_tables(
    tenant: Terminal, variables: dict[str, str], columns: int
) -> None:
    proposing = (
        "agents",
        "consensus",
        "create",
        "--agent-name",
        "ann",
        "--contact-email",
        "a@b.co",
    )
    proposal = tenant.run_quiet(*proposing, "--action", HOSTILE, "--reason", HOSTILE)

    for words in (("proposals", "list", "-o", "wide"), ("agents", "consensus", "get", proposal)):
        code, seen = run_in_terminal(words, variables, columns=columns)

        assert code == 0
        seen = STYLING.sub("", seen)
        assert ESCAPE not in seen
        assert "\x07" not in seen
        assert "\u202e" not in seen
        assert "\nRequests: none" not in seen
        letters = "".join(seen.split())
        assert "[bold]x[/bold]:smile:" in letters
        assert proposal in seen, "an id is never broken: people copy it"


def test_untrusted_error_text_stays_on_one_line(run: Run) -> None:
    result = run("agents", "list", "--url", "http://x\x1b[2J\ny", "--api-key", "k")

    assert ESCAPE not in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("columns", ["10", "60", "100", "200"])
def test_table_keeps_every_cell_at_any_width(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    prose = "word " * 100
    wide = "\N{CJK UNIFIED IDEOGRAPH-6F22}" * 30

    rows = [("a" * 64, prose, ID), (wide, "", ID)]
    print_table("Things", ("name", "why", "id"), rows, wide=())

    seen = capsys.readouterr().out
    letters = "".join(seen.split())
    assert seen.count(ID) == 2
    assert letters.count("word") == 100
    assert seen.count("\N{CJK UNIFIED IDEOGRAPH-6F22}") == 30
    assert seen.count("a" * 20) >= 1


def test_long_table_is_truncated(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_table("Things", ("name",), [(f"n{number}",) for number in range(150)])

    seen = capsys.readouterr()
    assert "n99" in seen.out
    assert "n100" not in seen.out
    assert "50 more; --json lists all of them" in seen.err
