"""`quorate secrets` and `quorate nats-config`."""

import json
import shutil
import subprocess
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from click.testing import CliRunner

from quorate.cli.commands.nats_config import nats_config
from quorate.cli.commands.secrets import SECRETS, secrets
from quorate.domain.identity.key_format import read_key

MAKERS = 4
ROUTES = ("--route", "nats-1:6222", "--route", "nats-2:6222")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    run_secrets(tmp_path / "secrets")
    return tmp_path / "secrets"


def run_secrets(folder: Path) -> str:
    result = CliRunner().invoke(secrets, [str(folder)])
    assert result.exit_code == 0, result.output
    return result.output


def run_nats_config(*options: str, code: int = 0) -> str:
    result = CliRunner().invoke(nats_config, [str(option) for option in options])
    assert result.exit_code == code, result.output
    return result.output


def read_contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


# -- Secrets -----------------------------------------------------------------------


def test_each_secret_is_an_owner_only_file(folder: Path) -> None:
    assert read_contents(folder).keys() == SECRETS.keys()
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    assert all(read_key((folder / name).read_text().strip()) for name in ("admin_key", "api_key"))
    assert len(set(read_contents(folder).values())) == len(SECRETS)


def test_existing_secrets_stay_and_missing_ones_are_created(folder: Path) -> None:
    before = read_contents(folder)
    (folder / "api_key").unlink()

    output = run_secrets(folder)

    after = read_contents(folder)
    assert {name for name in before if after[name] != before[name]} == {"api_key"}
    assert [word for word in output.split() if word.endswith("_key")] == [str(folder / "api_key")]


def test_only_file_names_are_printed(tmp_path: Path) -> None:
    output = run_secrets(tmp_path / "secrets")

    assert [
        text for text in read_contents(tmp_path / "secrets").values() if text.strip() in output
    ] == []


def test_concurrent_runs_create_each_secret_once(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    program = shutil.which("quorate", path=sysconfig.get_path("scripts"))
    assert program is not None

    def make(_: int) -> bytes:
        done = subprocess.run([program, "secrets", folder], capture_output=True, check=False)
        return done.stderr if done.returncode else b""

    with ThreadPoolExecutor(MAKERS) as pool:
        assert set(pool.map(make, range(MAKERS))) == {b""}
    assert read_contents(folder).keys() == SECRETS.keys()


# -- NATS configuration -------------------------------------------------------------


def check_with_nats_server(configuration: str, folder: Path) -> None:
    file = folder / "printed.conf"
    file.write_text(configuration)
    program = shutil.which("nats-server", path=sysconfig.get_path("scripts"))
    assert program is not None
    checked = subprocess.run([program, "-t", "-c", file], capture_output=True, check=False)
    assert checked.returncode == 0, checked.stderr


def test_route_password_is_in_the_cluster_configuration_only(folder: Path) -> None:
    password = (folder / "nats_route_password").read_text().strip()
    keys = ("--nats-keys-file", str(folder / "nats_keys.json"))

    printed = run_nats_config(
        *keys,
        *("--cluster", "quorate", *ROUTES),
        *("--route-password-file", str(folder / "nats_route_password")),
    )

    check_with_nats_server(printed, folder)
    # Once for incoming routes, once in each of the two route addresses.
    assert printed.count(password) == 3
    for seed in json.loads((folder / "nats_keys.json").read_text()).values():
        assert seed not in printed


def test_special_characters_in_the_route_password_are_quoted(folder: Path) -> None:
    (folder / "nats_route_password").write_text('a/b@c:"d" \\ }\n')

    printed = run_nats_config(
        *("--nats-keys-file", str(folder / "nats_keys.json")),
        *("--cluster", "quorate", *ROUTES),
        *("--route-password-file", str(folder / "nats_route_password")),
    )

    check_with_nats_server(printed, folder)
    assert "quorate:a%2Fb%40c%3A%22d%22%20%5C%20%7D@nats-1:6222" in printed


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (ROUTES, "need --cluster"),
        (("--cluster", "quorate"), "needs --route"),
        (("--tls-certificate", "nats.pem"), "--tls-key"),
        (("--tls-ca", "ca.pem"), "--tls-certificate and --tls-key"),
        (("--nats-keys-file", "nowhere"), "does not exist"),
    ],
)
def test_incomplete_options_are_usage_errors(options: tuple[str, ...], why: str) -> None:
    assert why in run_nats_config(*options, code=2)


def test_empty_password_file_is_a_usage_error(folder: Path) -> None:
    empty = folder / "empty"
    empty.touch()

    output = run_nats_config("--cluster", "q", *ROUTES, "--route-password-file", str(empty), code=2)

    assert "empty" in output
