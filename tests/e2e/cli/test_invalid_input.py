"""Invalid or missing input is a usage error before anything is sent; errors say what to do."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from quorate.cli.connection.profiles import Context, contexts, contexts_path, update_contexts
from quorate.cli.output.errors import QUOTA, Failure, report_errors
from quorate.client.rejections import QuotaExceededError
from tests.e2e.cli.cli_process import start_cli
from tests.e2e.cli.conftest import Run
from tests.e2e.cli.terminal import Terminal
from tests.e2e.service.service_process import ServiceProcess, environment

UNREACHABLE = ("--url", "http://127.0.0.1:1", "--api-key", "k")
HALF = "\udcff"  # An argument with the byte 0xFF, in a UTF-8 locale.
PROPOSE = ("proposals", "create", "--agent-name", "ann", "--contact-email", "a@b.co")


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("agents", "register", "bad name!"), "'NAME': 'bad name!': use letters, digits"),
        (("agents", "register", "--agent-name", ""), "'--agent-name': '': use letters"),
        (("agents", "register", "ann", "--agent-role", ""), "'--agent-role': ''"),
        (("agents", "register", "a", "--agent-name", "b"), "name different agents"),
        (("lease", "acquire", "x", "--agent-name", "a"), "not an e-mail address: there is no @"),
        (("lease", "acquire", "a@b", "--agent-name", "a"), "'CONTACT': 'a@b': not an e-mail"),
        (("lease", "acquire", "a@b.co", "--agent-name", "a", "--intent", ""), "'--intent'"),
        (("lease", "acquire", "--agent-name", "a"), "Missing argument 'CONTACT'"),
        (("lease", "list", "--contact-email", "nobody"), "'--contact-email'"),
        (("lease", "request-send", "a@b.co", "--fence", str(2**70)), "'--fence'"),
        (("lease", "run", "x", "--agent-name", "ann", "--", "true"), "'CONTACT'"),
        ((*PROPOSE, "--action", "", "--reason", "y"), "'--action'"),
        ((*PROPOSE, "--action", "x" * 1_001, "--reason", "y"), "'--action'"),
        ((*PROPOSE, "--action", "x", "--reason", "y", "--floor", "nan"), "'--floor'"),
        ((*PROPOSE, "--action", "x", "--reason", "y", "--timeout", "5x"), "'--timeout'"),
        (("keys", "issue", "--role", "auditor", "--as-operator"), "requires --tenant"),
        (("tenants", "create", "a b"), "'TENANT_ID': 'a b'"),
        (("events", "list", "--after", "-1"), "'--after'"),
        (("watch", "--for", "soon"), "'--for'"),
    ],
    ids=lambda value: " ".join(value)[:50] if isinstance(value, tuple) else "",
)
def test_invalid_input_is_a_usage_error_before_anything_is_sent(
    run: Run, words: tuple[str, ...], reason: str
) -> None:
    place = words.index("--") if "--" in words else len(words)
    result = run(*words[:place], *UNREACHABLE, *words[place:])

    assert result.exit_code == 2, result.stderr
    assert reason in result.stderr


def test_valid_input_is_sent(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("quorate.cli.connection.api.CALL_TIMEOUT_SECONDS", 0.2)

    assert run("lease", "acquire", "a@b.co", "--agent-name", "a", *UNREACHABLE).exit_code == 6


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (("agents", "register", f"a{HALF}"), "[NAME]"),
        (("lease", "acquire", f"{HALF}@b.co", "--agent-name", "a"), "CONTACT"),
        (("lease", "acquire", "a@b.co", "--agent-name", HALF), "--agent-name"),
        (("lease", "get", HALF), "LEASE"),
        (("watch", "--name", "x", "--name", HALF), "--name"),
        (("call", "heartbeat", "--agent-name", HALF), "--agent-name"),
        (("call", "getLease", "--lease-id", HALF), "--lease-id"),
    ],
    ids=lambda value: value[:1] if isinstance(value, tuple) else "",
)
def test_text_that_is_not_unicode_is_rejected_with_its_parameter(
    run: Run, words: tuple[str, ...], name: str
) -> None:
    result = run(*words, *UNREACHABLE)

    assert result.exit_code == 2
    assert f"Invalid value for '{name}': not valid Unicode text." in result.stderr


def test_undecodable_bytes_are_rejected_and_file_names_are_not(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "quorate.cli.main"]
    variables = environment(LC_ALL="C.UTF-8", QUORATE_DATA_DIR=str(tmp_path))
    text = subprocess.run(
        [*command, "lease", "get", b"\xff"], env=variables, capture_output=True, check=False
    )
    file = subprocess.run(
        [*command, "verify", os.fsencode(tmp_path) + b"/\xff"],
        env=variables,
        capture_output=True,
        check=False,
    )

    assert text.returncode == 2
    assert b"not valid Unicode text" in text.stderr
    assert b"not valid Unicode text" not in file.stderr


# -- Errors --------------------------------------------------------------------------


def test_error_has_the_detail_of_the_service_and_the_advice(tenant: Terminal) -> None:
    tenant.set_key(tenant.run_quiet("keys", "issue", "--role", "agent", "--agent-name", "ann"))
    result = tenant.run("keys", "list")

    first, second = result.stderr.splitlines()
    assert result.exit_code == 4
    assert "Keys of role agent may not call this operation" in first
    assert second == (
        "  `quorate whoami` shows the role of your key (the key is from QUORATE_API_KEY)."
    )


def test_exceeded_quota_has_its_own_message_and_exit_code() -> None:
    problem = {"code": "quota_exceeded", "quota": "live_leases", "limit": 2, "detail": "..."}

    with pytest.raises(Failure) as caught, report_errors():
        raise QuotaExceededError(problem, 429)

    assert caught.value.exit_code == QUOTA
    assert caught.value.message == "Quota exceeded: active leases (limit 2)"


def test_created_tenant_is_reported_and_an_existing_one_is_a_conflict(tenant: Terminal) -> None:
    created, again = (tenant.run("tenants", "create", "once-only") for _ in range(2))

    assert created.stdout.startswith("Created tenant once-only.\n")
    assert (again.exit_code, again.stdout) == (3, "")
    assert "already exists" in again.stderr


def test_interrupt_ends_with_130() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with start_cli("agents", "list", "--url", url, "--api-key", "k") as waiting:
            connection, _ = silent.accept()
            waiting.send_signal(signal.SIGINT)
            outcome = waiting.wait()
            connection.close()

    assert outcome.code == 130
    assert "Traceback" not in outcome.stderr


# -- Home directory, passwords and links ----------------------------------------------

WITHOUT_HOME = """
import os, pwd, sys
def unknown(_): raise KeyError
pwd.getpwuid = unknown
for name in ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
    os.environ.pop(name, None)
from quorate.cli.main import main
main(sys.argv[1:])
"""


def run_without_home(*words: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", WITHOUT_HOME, *words],
        env=environment(**variables),
        capture_output=True,
        text=True,
        check=False,
    )


def test_user_without_home_directory_needs_only_url_and_key(real: ServiceProcess) -> None:
    given = {"QUORATE_URL": real.url, "QUORATE_API_KEY": real.api_key}

    assert run_without_home("agents", "list", **given).returncode == 0
    assert run_without_home("context", "list").returncode == 0
    assert run_without_home("doctor", **given).returncode == 0


@pytest.mark.parametrize(
    "words",
    [("agents", "list"), ("serve",), ("rebuild",), ("context", "add", "x", "--url", "http://x")],
)
def test_user_without_home_directory_gets_an_error_that_says_so(words: tuple[str, ...]) -> None:
    result = run_without_home(*words)

    assert result.returncode in {1, 2}
    assert "home directory" in result.stderr
    assert "Traceback" not in result.stderr


def test_password_in_a_url_is_never_printed(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("quorate.cli.connection.api.CALL_TIMEOUT_SECONDS", 0.1)
    url, nats = "http://me:s3cret@127.0.0.1:1", "nats://t0ken@127.0.0.1:1"
    monkeypatch.setenv("QUORATE_URL", url)
    monkeypatch.setenv("QUORATE_API_KEY", "k")
    run("context", "add", "with-password", "--url", url, "--nats-url", nats)

    commands = [
        ("agents", "list"),
        ("call", "listAgents", "--timeout", "100ms"),
        ("watch", "--for", "100ms"),
        ("context", "list"),
        ("context", "list", "--json"),
        ("context", "show", "--context", "with-password"),
        ("context", "show", "--json"),
        ("version",),
        ("doctor", "--nats-url", nats),
        ("serve", "--database-url", "postgresql+nothing://me:s3cret@host/name"),
    ]
    for words in commands:
        output = run(*words).output
        assert output, words
        assert "s3cret" not in output, words
        assert "t0ken" not in output, words


def test_linked_file_of_contexts_stays_linked(run: Run, tmp_path: Path) -> None:
    del run  # The fixture isolates the directories of the user.
    target = tmp_path / "dotfiles" / "contexts.json"
    target.parent.mkdir()
    link = contexts_path()
    link.parent.mkdir(parents=True)
    link.symlink_to(target)

    update_contexts(lambda known: known.with_context("first", Context(url="http://x")))
    update_contexts(lambda known: known.with_context("second", Context(url="http://y")))

    assert link.is_symlink()
    assert target.is_file()
    assert target.stat().st_mode & 0o777 == 0o600
    assert set(contexts().known) == {"first", "second"}
