"""`quorate context`: contexts are stored owner-only, and their keys are never printed."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from quorate.cli.connection.profiles import Context, contexts, contexts_path, update_contexts
from quorate.domain.identity.key_format import key_text
from tests.e2e.cli.conftest import Run
from tests.e2e.service.service_process import ServiceProcess, environment

URL = "http://127.0.0.1:8420"
KEY = key_text("0123456789abcdef", bytes(range(32)))
SECRET = KEY.rpartition("_")[2]
WRITERS = 4
CONTEXTS_EACH = 10
ADDING = f"""
import sys
from quorate.cli.connection.profiles import Context, update_contexts
for number in range({CONTEXTS_EACH}):
    name = f"{{sys.argv[1]}}-{{number}}"
    update_contexts(lambda known: known.with_context(name, Context(url="http://x")))
"""


def file_mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_context_is_added_used_shown_and_removed(run: Run) -> None:
    added = run("context", "add", "prod", "--url", URL + "/", "--api-key", KEY, "--agent", "mailer")
    used = run("context", "use", "prod")
    listed = run("context", "list")
    removed = run("context", "remove", "prod")

    assert [one.exit_code for one in (added, used, listed, removed)] == [0, 0, 0, 0]
    for words in ("yes", "prod", URL, "0123456789abcdef", "mailer"):
        assert words in listed.stdout
    assert removed.stdout == "Removed context prod. No current context.\n"
    assert contexts().known == {}


def test_show_prints_the_target_and_its_sources(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("QUORATE_DATA_DIR")
    run("context", "add", "prod", "--url", URL, "--api-key", KEY, "--use")
    monkeypatch.setenv("QUORATE_AGENT", "mailer")

    shown = json.loads(run("context", "show", "--json").stdout)

    assert shown == {
        "url": URL,
        "urlFrom": "context prod",
        "natsUrl": None,
        "keyId": "0123456789abcdef",
        "keyFrom": "context prod",
        "agent": "mailer",
        "agentFrom": "environment",
    }
    assert "Commands call" in run("context", "show").stdout


def test_stored_key_is_never_printed(run: Run) -> None:
    results = [
        run("context", "add", "prod", "--url", URL, "--api-key", KEY, "--use"),
        run("context", "list"),
        run("context", "list", "--json"),
        run("context", "show"),
        run("context", "show", "--json"),
        run("context", "add", "prod", "--url", URL, "--api-key", KEY),
        run("context", "add", "other", "--url", URL, "--api-key", KEY[:-1]),
        run("context", "remove", "prod"),
    ]

    assert SECRET not in "".join(one.output + one.stderr for one in results)
    assert SECRET[:-1] not in "".join(one.output + one.stderr for one in results)


def test_key_is_read_from_stdin(run: Run) -> None:
    result = run(
        "context", "add", "prod", "--url", URL, "--api-key", "-", input=f"{KEY}\n".encode()
    )

    assert result.exit_code == 0
    assert contexts().known["prod"].api_key == KEY


def test_invalid_key_is_rejected_by_add(run: Run) -> None:
    result = run("context", "add", "prod", "--url", URL, "--api-key", KEY.replace("_", "-"))

    assert result.exit_code == 2
    assert contexts().known == {}


def test_context_file_is_owner_only_even_if_it_existed(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = contexts_path()
    path.parent.mkdir(parents=True)
    partial = path.with_suffix(".partial")
    partial.write_text("left by a crash")
    partial.chmod(0o666)
    before = os.umask(0)
    try:
        run("context", "add", "prod", "--url", URL, "--api-key", KEY)
    finally:
        os.umask(before)

    assert file_mode(path) == 0o600
    assert not partial.exists()
    monkeypatch.setenv("XDG_CONFIG_HOME", str(path.parent / "new"))
    run("context", "add", "prod", "--url", URL)
    assert file_mode(contexts_path().parent) == 0o700


def test_failed_update_keeps_the_context_file(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    run("context", "add", "prod", "--url", URL)
    before = contexts_path().read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    result = run("context", "add", "other", "--url", URL)

    assert result.exit_code == 1
    assert "No space left" in result.stderr
    assert contexts_path().read_bytes() == before


def test_concurrent_adds_lose_no_context(tmp_path: Path) -> None:
    variables = environment(XDG_CONFIG_HOME=str(tmp_path))
    started = [
        subprocess.Popen([sys.executable, "-c", ADDING, str(writer)], env=variables)
        for writer in range(WRITERS)
    ]
    assert [one.wait() for one in started] == [0] * WRITERS

    found = json.loads((tmp_path / "quorate" / "contexts.json").read_text())

    assert len(found["contexts"]) == WRITERS * CONTEXTS_EACH


def test_existing_context_is_replaced_only_with_replace(run: Run) -> None:
    run("context", "add", "prod", "--url", URL)

    rejected = run("context", "add", "prod", "--url", "http://other")
    replaced = run("context", "add", "prod", "--url", "http://other", "--replace")

    assert (rejected.exit_code, replaced.exit_code) == (3, 0)
    assert contexts().known["prod"] == Context(url="http://other")


@pytest.mark.parametrize(
    "arguments",
    [
        ("add", "prod"),
        ("add", "prod", "--url", "ftp://x"),
        ("add", "../up", "--url", URL),
        ("add", "prod", "--url", URL, "--data-dir", "."),
        ("use",),
        ("use", "prod", "--none"),
    ],
)
def test_invalid_options_are_usage_errors(run: Run, arguments: tuple[str, ...]) -> None:
    assert run("context", *arguments).exit_code == 2
    assert contexts().known == {}


@pytest.mark.parametrize("command", ["use", "remove"])
def test_missing_context_exits_with_not_found(run: Run, command: str) -> None:
    assert run("context", command, "nowhere").exit_code == 5


def test_use_warns_about_overriding_variables(run: Run) -> None:
    run("context", "add", "prod", "--url", URL)

    assert "QUORATE_DATA_DIR is set" in run("context", "use", "prod").stderr


def test_unknown_fields_in_the_context_file_are_ignored() -> None:
    path = contexts_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"contexts": {"a": {"url": URL, "new": {}}}, "current": "gone"}))

    assert contexts().known == {"a": Context(url=URL)}
    assert contexts().current is None


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


def test_data_directory_can_be_a_context(
    run: Run, real: ServiceProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("QUORATE_DATA_DIR")
    run("context", "add", "local", "--data-dir", real.data_dir, "--use")

    assert run("agents", "list").exit_code == 0
    assert real.api_key not in contexts_path().read_text()


def test_number_of_contexts_is_limited(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("quorate.cli.connection.profiles.CONTEXTS_MAX", 1)
    update_contexts(lambda known: known.with_context("a", Context(url=URL)))

    assert run("context", "add", "b", "--url", URL).exit_code == 1
    assert list(contexts().known) == ["a"]
