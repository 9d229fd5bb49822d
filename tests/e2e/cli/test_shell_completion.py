"""`quorate completion`: shell completion of commands, options and contexts."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from quorate.cli.connection.profiles import Context, update_contexts
from tests.e2e.cli.conftest import Run
from tests.e2e.service.service_process import environment

SHELLS = ("bash", "zsh", "fish")


def complete(*words: str) -> list[str]:
    """Return the completions of the last word in bash."""
    done = subprocess.run(
        [sys.executable, "-m", "quorate.cli.main"],
        env=os.environ
        | environment(
            _QUORATE_COMPLETE="bash_complete",
            COMP_WORDS=" ".join(("quorate", *words)),
            COMP_CWORD=str(len(words)),
        ),
        capture_output=True,
        text=True,
        check=True,
    )
    return [line.partition(",")[2] for line in done.stdout.splitlines()]


@pytest.mark.parametrize("shell", SHELLS)
def test_completion_script_is_valid_for_the_shell(run: Run, shell: str, tmp_path: Path) -> None:
    result = run("completion", shell)

    assert result.exit_code == 0
    assert "_QUORATE_COMPLETE" in result.stdout
    script = tmp_path / "script"
    script.write_text(result.stdout)
    if shutil.which(shell):
        subprocess.run([shell, "-n", script], check=True)


def test_commands_options_and_choices_are_completed() -> None:
    assert complete("agents", "cons") == ["consensus"]
    assert complete("agents", "consensus", "v") == ["vote", "votes"]
    assert complete("agents", "lease", "--contact") == ["--contact-email"]
    assert complete("agents", "consensus", "vote", "x", "--vote", "") == ["approve", "reject"]


@pytest.mark.parametrize("words", [("context", "use"), ("agents", "list", "--context")])
def test_context_names_are_completed(run: Run, words: tuple[str, ...]) -> None:
    del run  # The fixture isolates the directories of the user.
    update_contexts(lambda known: known.with_context("prod", Context(url="http://x")))
    update_contexts(lambda known: known.with_context("local", Context(url="http://x")))

    assert complete(*words, "pr") == ["prod"]


def test_unknown_shell_is_a_usage_error(run: Run) -> None:
    assert run("completion", "csh").exit_code == 2
