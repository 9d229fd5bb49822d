"""Warn of files that every user of the machine can access."""

import stat
from collections.abc import Iterator
from pathlib import Path

import structlog

from quorate.server.options import Options

SQLITE_SUFFIXES = ("", "-wal", "-shm")
EVERYONE = stat.S_IRWXO
_logger = structlog.get_logger(__name__)


def warn_of_exposed_files(options: Options) -> None:
    """Log ``files.exposed``. The files are not changed: the permissions may be intended."""
    exposed = [str(path) for path in _private_paths(options) if _is_exposed(path)]
    if exposed:
        _logger.warning("files.exposed", paths=exposed, advice=f"chmod o= {' '.join(exposed)}")


def _private_paths(options: Options) -> Iterator[Path]:
    yield options.data_dir
    yield options.data_dir / "credentials.json"
    yield options.data_dir / "nats" / "keys.json"
    if (database := options.database_file) is not None:
        for suffix in SQLITE_SUFFIXES:
            yield database.with_name(database.name + suffix)
    for given in (options.nats_keys_file, options.admin_key_file, options.api_key_file):
        if given is not None:
            yield given


def _is_exposed(path: Path) -> bool:
    try:
        return bool(path.stat().st_mode & EVERYONE)
    except OSError:
        return False  # It is missing, or its user reports it.
