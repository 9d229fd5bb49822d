"""The `quorate` command: help, imports on demand, exit codes and error messages."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from quorate.cli.groups import LazyGroup
from quorate.cli.main import main
from tests.e2e.cli.conftest import RecordedLog, Run

# Prints the whole help, then the imported modules.
LOADED_BY_HELP = """
import sys
from quorate.cli.main import main
try:
    main(["--help"])
except SystemExit:
    pass
print(*sys.modules, file=sys.stderr)
"""
# Starts a service, and prints the modules that were imported until it was ready.
LOADED_BY_SERVE = """
import os, signal, sys
from quorate.cli import main
from quorate.cli.commands import serve
def ready(*_):
    print(*sys.modules)
    os.kill(os.getpid(), signal.SIGTERM)
serve.announce = ready
main.main(["serve", "--port", "0", "--nats-port", "0", "--data-dir", sys.argv[1]])
"""
# Each takes as long to import as the rest of a start.
NEEDED_BY_FEW_SERVICES = {
    *(
        "alembic",
        "asyncpg",
        "opentelemetry.sdk",  # FastStream looks for opentelemetry, and does not load it.
        "quorate.application.spans",
    ),
    *("quorate.eventlog.postgres.database",),
    *("quorate.api.openapi", "quorate.bus.asyncapi"),
    *("quorate.projections.rebuild", "quorate.eventlog.archive.archiver"),
}
NEEDED_BY_VERBS = {
    *("asyncio", "httpx2", "nats", "orjson", "platformdirs", "pydantic", "rich", "sqlalchemy"),
    *(
        "prometheus_client",
        "structlog",
        "quorate.client.requests",
        "quorate.contracts",
        "quorate.client.transports.sync_http",
        "quorate.eventlog.archive.export_format",
    ),
}
# As on the machine of an auditor: only the base installation, and no terminal.
WITHOUT_A_SERVER = """
import sys
for name in ("sqlalchemy", "structlog", "pydantic", "uvicorn", "nats", "rich"):
    sys.modules[name] = None
from quorate.cli.main import main
main(sys.argv[1:])
"""


def run_python(code: str, *arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_help_imports_no_command_dependencies() -> None:
    done = run_python(LOADED_BY_HELP)

    assert done.returncode == 0
    assert "Leases, votes and an audit log" in done.stdout
    loaded = set(done.stderr.split())
    assert not loaded & NEEDED_BY_VERBS


def test_service_on_sqlite_starts_without_optional_modules(tmp_path: Path) -> None:
    done = run_python(LOADED_BY_SERVE, tmp_path / "data")

    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.split())
    assert "quorate.server.container" in loaded
    assert not loaded & NEEDED_BY_FEW_SERVICES


def test_verify_runs_without_server_packages(recorded_log: RecordedLog) -> None:
    file = recorded_log.data_dir / "log.jsonl"

    verified = run_python(WITHOUT_A_SERVER, "verify", file)
    replayed = run_python(WITHOUT_A_SERVER, "replay", file)
    rebuilt = run_python(
        WITHOUT_A_SERVER, "rebuild", "--check", "--data-dir", recorded_log.data_dir
    )

    assert verified.returncode == replayed.returncode == 0, verified.stderr + replayed.stderr
    assert rebuilt.returncode == 1
    assert "pip install 'quorate[server]'" in rebuilt.stderr
    assert rebuilt.stderr.count("\n") == 1


def test_internal_error_is_printed_as_one_sentence(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("the bug")

    monkeypatch.setattr(LazyGroup, "get_command", fail)

    with pytest.raises(SystemExit) as end:
        main(["verify"])

    assert end.value.code == 1
    assert re.fullmatch(r"Error: RuntimeError: the bug \(.*\)\.\n", capsys.readouterr().err)
    monkeypatch.setenv("QUORATE_TRACEBACK", "1")
    with pytest.raises(RuntimeError):
        main(["verify"])


@pytest.mark.parametrize("arguments", [("nonsense",), ("verify",), ("rebuild", "--nonsense")])
def test_usage_error_has_its_own_exit_code(run: Run, arguments: tuple[str, ...]) -> None:
    assert run(*arguments).exit_code == 2


def test_server_command_names_the_missing_package() -> None:
    done = run_python(WITHOUT_A_SERVER, "serve")

    assert done.returncode == 1
    assert done.stderr.endswith("pip install 'quorate[server]'.\n")
    assert "Traceback" not in done.stderr
