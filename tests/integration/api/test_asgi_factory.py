"""The service under plain uvicorn, with options from the environment."""

import json
import os
import subprocess
import sys
from contextlib import ExitStack
from ipaddress import ip_network
from pathlib import Path

import pytest

from quorate.cli.commands.serve import _options, serve
from quorate.server.environment import InvalidVariable, read_environment
from tests.integration.api.raw_clients import RawConnection, head, run_uvicorn
from tests.support.paths import ROOT

# Options of `quorate serve` that need its own supervision of processes.
ONLY_COMMAND_LINE = {"workers", "worker_socket"}
GIVEN = {
    "QUORATE_DATABASE_URL": "sqlite:////data/log.db",
    "QUORATE_NATS_PORT": "0",
    "QUORATE_HEARTBEAT_WINDOW_SECONDS": "2.5",
    "QUORATE_RATE_PER_KEY": "0",
    "QUORATE_QUOTA_AGENTS": "7",
    "QUORATE_TRUSTED_PROXY": "10.0.0.7 10.1.0.0/16",
    "QUORATE_CORS_ORIGIN": "https://a.example https://b.example:8443",
    "QUORATE_FAST_LANE": "false",
    "QUORATE_API_KEY_FILE": "/run/key",
    "QUORATE_SMTP_URL": "smtp://user@relay.example",
    "QUORATE_SMTP_PASSWORD_FILE": "/run/smtp",
    "QUORATE_MAIL_RETRY_SECONDS_MIN": "5",
    "QUORATE_MAIL_LIMITS": "active=5/7",
    "QUORATE_MAIL_RETENTION_DAYS": "1.5",
    "QUORATE_TASK_RETENTION_DAYS": "0.5",
    "QUORATE_PORT": "9000",
    "QUORATE_LOG_LEVEL": "debug",
}


def test_environment_gives_the_same_options_as_the_command_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in list(os.environ):
        if name.startswith("QUORATE_"):
            monkeypatch.delenv(name)
    for given in ({}, GIVEN):
        variables = given | {"QUORATE_DATA_DIR": str(tmp_path)}
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        context = serve.make_context("serve", [], auto_envvar_prefix="QUORATE")
        found = read_environment(variables)
        assert found.options == _options(context.params)
        for option in ("host", "port", "log_level"):
            assert getattr(found, option) == context.params[option]
    assert found.options.trusted_proxies == (ip_network("10.0.0.7"), ip_network("10.1.0.0/16"))
    assert found.options.cors_origins == ("https://a.example", "https://b.example:8443")


def test_every_option_is_read_from_the_environment() -> None:
    read: set[str] = set()

    class Recorder(dict[str, str]):
        def get(self, key: str, default: object = None) -> None:  # type: ignore[override]
            del default
            read.add(key)

    read_environment(Recorder())
    options = {str(option.name) for option in serve.params} - ONLY_COMMAND_LINE
    assert read == {f"QUORATE_{name.upper()}" for name in options}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("PORT", "x"), ("PORT", "65536"), ("QUOTA_AGENTS", "-1"), ("RATE_PER_KEY", "1.5")),
        *(("HEARTBEAT_WINDOW_SECONDS", "nan"), ("HEARTBEAT_WINDOW_SECONDS", "0")),
        *(("TRUSTED_PROXY", "10.0.0.0/33"), ("FAST_LANE", "maybe"), ("LOG_LEVEL", "loud")),
        *(("SMTP_URL", "http://relay.example"), ("SMTP_URL", "smtp://user@relay.example")),
        *(("MAIL_LIMITS", "active=5"), ("MAIL_LIMITS", "vip=1/2"), ("MAIL_ACK_MINUTES", "0")),
        *(("MAIL_RETRY_SECONDS_MIN", "7200"), ("MAIL_RETRY_HOURS", "nan")),
        *(("TASK_RETENTION_DAYS", "0"), ("TASK_RETENTION_DAYS", "36501")),
        *(("CORS_ORIGIN", "app.example.com"), ("CORS_ORIGIN", "https://a.example/path")),
    ],
)
def test_invalid_variable_is_named(name: str, value: str) -> None:
    with pytest.raises(InvalidVariable, match=f"QUORATE_{name}"):
        read_environment({f"QUORATE_{name}": value})


def test_plain_uvicorn_serves_and_stops(tmp_path: Path) -> None:
    with (
        ExitStack() as open_until_the_end,
        run_uvicorn(tmp_path, QUORATE_CORS_ORIGIN="https://app.example.com") as service,
    ):
        registered = service.request("POST", "/v1/agent/register", {"agentName": "ann"})
        lease = {"agentName": "ann", "contactEmail": "u@example.com"}
        acquired = service.request(
            "POST", "/v1/agent/coordination/lease", lease, Origin="https://app.example.com"
        )
        credentials = json.loads((tmp_path / "data" / "credentials.json").read_text())
        stream = open_until_the_end.enter_context(RawConnection(service.port))
        stream.send(head("GET", "/v1/events/stream", Authorization=f"Bearer {service.key}"))
        assert stream.read_response_head().status == 200

        assert (registered.status, acquired.status) == (200, 200)
        assert acquired.headers["access-control-allow-origin"] == "https://app.example.com"
        assert service.request("GET", "/readyz").json["nats"] == "connected"
        assert service.request("GET", "/none").code == "not_found"
        assert credentials["url"] == f"http://127.0.0.1:{service.port}"
    # The open stream did not delay the stop.
    output = service.log.read_text()
    assert "Application shutdown complete" in output
    assert "Traceback" not in output


def test_plain_uvicorn_names_an_invalid_variable(tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src"), "QUORATE_PORT": "x"}
    done = subprocess.run(
        [sys.executable, "-m", "uvicorn", "quorate.server.container:create_app", "--factory"],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "QUORATE_PORT is invalid" in done.stderr
