"""Credentials of another database are refused, and files open to everyone are reported."""

import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from structlog.testing import capture_logs

from quorate.application.identity.api_keys import new_key
from quorate.server.bootstrap import InvalidKeyFile, ensure_credentials
from quorate.server.file_permissions import warn_of_exposed_files
from quorate.server.options import Options

URLS = {"url": "http://127.0.0.1:1", "nats_url": "nats://127.0.0.1:2"}


class Database:
    """The part of a service that knows keys."""

    def __init__(self, key_ids: Sequence[str], head: int) -> None:
        self.reader = self.log = self
        self._key_ids, self._head = key_ids, head

    async def key(self, key_id: str) -> object | None:
        return SimpleNamespace() if key_id in self._key_ids else None

    async def committed_head(self) -> int:
        return self._head


API_KEY, ADMIN_KEY = new_key(), new_key()


def write_credentials(folder: Path, **changed: str) -> Path:
    path = folder / "credentials.json"
    keys = {"apiKey": API_KEY.full_key, "adminKey": ADMIN_KEY.full_key}
    path.write_text(json.dumps(keys | changed))
    return path


async def test_known_keys_are_kept(tmp_path: Path) -> None:
    write_credentials(tmp_path)
    database: Any = Database([API_KEY.id, ADMIN_KEY.id], head=9)

    found = await ensure_credentials(database, tmp_path, **URLS)

    assert (found["apiKey"], found["adminKey"]) == (API_KEY.full_key, ADMIN_KEY.full_key)


@pytest.mark.parametrize(
    ("key_ids", "head", "message"),
    [
        ([], 0, "the database is empty: restore a backup"),
        ([], 9, "does not contain its keys"),
        ([API_KEY.id], 9, "does not contain its keys"),
        ([ADMIN_KEY.id], 9, "does not contain its keys"),
    ],
)
async def test_keys_of_another_database_are_refused(
    tmp_path: Path, key_ids: list[str], head: int, message: str
) -> None:
    path = write_credentials(tmp_path)
    before = path.read_bytes()
    database: Any = Database(key_ids, head)

    with pytest.raises(InvalidKeyFile, match=message) as refused:
        await ensure_credentials(database, tmp_path, **URLS)

    assert str(path) in str(refused.value)
    assert path.read_bytes() == before


async def test_malformed_key_is_refused(tmp_path: Path) -> None:
    write_credentials(tmp_path, apiKey="qk_x")
    database: Any = Database([ADMIN_KEY.id], 9)

    with pytest.raises(InvalidKeyFile, match="malformed"):
        await ensure_credentials(database, tmp_path, **URLS)


# -- Permissions ----------------------------------------------------------------------


def make_private(folder: Path) -> Options:
    folder.chmod(0o750)
    for name in ("quorate.db", "quorate.db-wal", "credentials.json", "key", "elsewhere.db"):
        (folder / name).touch()
        (folder / name).chmod(0o640)
    return Options(data_dir=folder, admin_key_file=folder / "key")


def reported(options: Options) -> list[str]:
    with capture_logs() as entries:
        warn_of_exposed_files(options)
    return [path for entry in entries for path in entry["paths"]]


def test_files_of_owner_and_group_are_not_reported(tmp_path: Path) -> None:
    assert reported(make_private(tmp_path)) == []


@pytest.mark.parametrize("name", ["", "quorate.db", "quorate.db-wal", "credentials.json", "key"])
@pytest.mark.parametrize("bit", [0o001, 0o002, 0o004])
def test_files_that_everyone_can_access_are_reported(tmp_path: Path, name: str, bit: int) -> None:
    options = make_private(tmp_path)
    path = tmp_path / name
    path.chmod(path.stat().st_mode | bit)

    assert reported(options) == [str(path)]


def test_database_elsewhere_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "elsewhere.db"
    options = make_private(tmp_path)
    path.chmod(0o644)
    elsewhere = Options(data_dir=tmp_path, database_url=f"sqlite:///{path}")

    assert (reported(options), reported(elsewhere)) == ([], [str(path)])
