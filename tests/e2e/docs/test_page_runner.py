"""The reader who follows the documents notifications when they are wrong."""

import pytest

from tests.e2e.docs import page_runner
from tests.e2e.docs.markdown import Document
from tests.e2e.docs.page_runner import Reader
from tests.e2e.docs.shell import Failed, Machine
from tests.support.paths import ROOT

NAME = ROOT / "docs" / "made-up.md"


def written(*blocks: tuple[str, str]) -> Document:
    fences = [f"```{language}\n{text}\n```\n" for language, text in blocks]
    return Document(NAME, "# Made up\n\n" + "\n".join(fences))


@pytest.fixture
def reader(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> Reader:
    """These documents are about no service, so none is started."""
    monkeypatch.setattr(machine, "serves", lambda: True)
    return Reader(machine)


def test_what_is_set_in_one_block_is_there_in_the_next(reader: Reader) -> None:
    reader.follow(written(("sh", "export WORD=hello\nsaid=aside"), ("sh", 'echo "$WORD $said"')))

    assert list(reader.shown.values()) == ["", "hello aside\n"]


@pytest.mark.parametrize(
    "blocks",
    [
        pytest.param([("sh", "true\nfalse\ntrue")], id="a command in the middle fails"),
        pytest.param([("sh", "no-such-command")], id="a command is not there"),
        pytest.param([("python", "raise SystemExit(1)")], id="a program fails"),
        pytest.param([("console", "$ echo one\ntwo")], id="something else appears"),
        pytest.param([("console", "$ echo one")], id="something appears that is not shown"),
        pytest.param([("sh", "echo '{\"a\": 1}'"), ("json", '{"b": 1}')], id="another field"),
        pytest.param([("sh", "echo '{\"a\": 1}'"), ("json", '{"a": "1"}')], id="another kind"),
        pytest.param([("sh", 'echo \'{"a": [{"b": 1}]}\''), ("json", '{"a": [{}]}')], id="deep"),
        pytest.param([("sh", "echo nothing"), ("json", "{}")], id="no answer"),
    ],
)
def test_what_is_wrong_is_noticed(reader: Reader, blocks: list[tuple[str, str]]) -> None:
    with pytest.raises(Failed):
        reader.follow(written(*blocks))


def test_a_block_that_goes_on_for_ever_is_noticed(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.e2e.docs.shell.BLOCK_SECONDS_MAX", 0.2)

    with pytest.raises(Failed, match="went on"):
        reader.follow(written(("sh", "sleep 30")))


def test_what_is_right_is_accepted(reader: Reader) -> None:
    reader.follow(
        written(
            ("sh", 'echo \'{"id": "b", "held": [1, 2], "until": null}\''),
            ("json", '{"until": null, "held": [7], "id": "a"}'),
            ("console", "$ echo one; \\\n> echo two 2026\none\ntwo ...\n$ true"),
            ("python", "# saved.py\nprint('three')"),
            ("console", "$ python3 saved.py\nthree"),
            ("text", "$ false"),
        )
    )


def test_a_service_is_started_only_where_a_block_says_nothing_else() -> None:
    assert page_runner.started("# First:\nmake run\n") == "make run"
    assert page_runner.started('make run SERVE="--log-level debug"\n') is not None
    assert page_runner.started("quorate serve\nquorate doctor\n") is None
    assert page_runner.started("quorate serve --help | head -1\nx") is None


def test_a_fence_that_is_never_closed_is_noticed() -> None:
    with pytest.raises(AssertionError, match="never closed"):
        _ = Document(NAME, "```sh\ntrue\n").fences


def test_anchors_are_those_that_forges_make() -> None:
    text = (
        "# A lease's end\n\n```sh\n# not one\n```\n\n## `POST /v1/keys`\n\n## Twice\n\n## Twice\n"
    )

    assert Document(NAME, text).anchors == {"a-leases-end", "post-v1keys", "twice", "twice-1"}
