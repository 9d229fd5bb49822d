"""Tests of the page runner: it detects documents that are wrong."""

import pytest

from tests.e2e.docs import page_runner
from tests.e2e.docs.markdown import Document
from tests.e2e.docs.page_runner import PageRunner
from tests.e2e.docs.shell import Sandbox, SnippetFailed
from tests.support.paths import ROOT

NAME = ROOT / "docs" / "sample.md"


def sample(*blocks: tuple[str, str]) -> Document:
    """Build a document from pairs of language and text."""
    fences = [f"```{language}\n{text}\n```\n" for language, text in blocks]
    return Document(NAME, "# Sample\n\n" + "\n".join(fences))


@pytest.fixture
def runner(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> PageRunner:
    """Return a runner that starts no service, because the samples need none."""
    monkeypatch.setattr(sandbox, "has_service", lambda: True)
    return PageRunner(sandbox)


def test_shell_keeps_variables_between_blocks(runner: PageRunner) -> None:
    runner.run(
        sample(("sh", "export WORD=hello\nlocal_word=aside"), ("sh", 'echo "$WORD $local_word"'))
    )

    assert list(runner.outputs.values()) == ["", "hello aside\n"]


@pytest.mark.parametrize(
    "blocks",
    [
        pytest.param([("sh", "true\nfalse\ntrue")], id="a command in the middle fails"),
        pytest.param([("sh", "no-such-command")], id="a command does not exist"),
        pytest.param([("python", "raise SystemExit(1)")], id="a program fails"),
        pytest.param([("js", "console.log(1)")], id="a script without a name"),
        pytest.param([("console", "$ echo one\ntwo")], id="the output differs"),
        pytest.param([("console", "$ echo one")], id="the output is not documented"),
        pytest.param([("sh", "echo '{\"a\": 1}'"), ("json", '{"b": 1}')], id="another field"),
        pytest.param([("sh", "echo '{\"a\": 1}'"), ("json", '{"a": "1"}')], id="another type"),
        pytest.param([("sh", 'echo \'{"a": [{"b": 1}]}\''), ("json", '{"a": [{}]}')], id="nested"),
        pytest.param([("sh", "echo nothing"), ("json", "{}")], id="no response"),
    ],
)
def test_runner_rejects_wrong_document(runner: PageRunner, blocks: list[tuple[str, str]]) -> None:
    with pytest.raises(SnippetFailed):
        runner.run(sample(*blocks))


def test_runner_rejects_block_that_does_not_end(
    runner: PageRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.e2e.docs.shell.BLOCK_SECONDS_MAX", 0.2)

    with pytest.raises(SnippetFailed, match="no end within"):
        runner.run(sample(("sh", "sleep 30")))


def test_runner_accepts_correct_document(runner: PageRunner) -> None:
    runner.run(
        sample(
            ("sh", 'echo \'{"id": "b", "held": [1, 2], "until": null}\''),
            ("json", '{"until": null, "held": [7], "id": "a"}'),
            ("console", "$ echo one; \\\n> echo two 2026\none\ntwo ...\n$ true"),
            ("python", "# saved.py\nprint('three')"),
            ("console", "$ python3 saved.py\nthree"),
            ("js", "// saved.mjs\nconsole.log('four');"),
            ("console", "$ cat saved.mjs\n// saved.mjs\nconsole.log('four');"),
            ("text", "$ false"),
        )
    )


def test_start_command_requires_single_command() -> None:
    assert page_runner.start_command("# First:\nmake run\n") == "make run"
    assert page_runner.start_command('make run SERVE="--log-level debug"\n') is not None
    assert page_runner.start_command("quorate serve\nquorate doctor\n") is None
    assert page_runner.start_command("quorate serve --help | head -1\nx") is None


def test_fences_fail_when_fence_is_not_closed() -> None:
    with pytest.raises(AssertionError, match="not closed"):
        _ = Document(NAME, "```sh\ntrue\n").fences


def test_anchors_match_git_forges() -> None:
    text = (
        "# A lease's end\n\n```sh\n# not one\n```\n\n## `POST /v1/keys`\n\n## Twice\n\n## Twice\n"
    )

    assert Document(NAME, text).anchors == {"a-leases-end", "post-v1keys", "twice", "twice-1"}
