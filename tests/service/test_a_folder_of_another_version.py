"""Tables of another version are not guessed at: the start is refused; the log makes them anew."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.service.running import Running, attempt, environment

REBUILD_SECONDS_MAX = 60.0
OLDER = {
    "a column is missing": "ALTER TABLE leases DROP COLUMN contenders",
    "a table is missing": "DROP TABLE notices",
}


@pytest.mark.parametrize("change", OLDER.values(), ids=OLDER)
def test_the_start_is_refused_until_the_tables_are_made_anew(tmp_path: Path, change: str) -> None:
    data_dir = tmp_path / "data"
    Running(data_dir).start().stop()
    with closing(sqlite3.connect(data_dir / "quorate.db")) as database:
        database.execute(change)
    refused = attempt(data_dir)
    assert refused.returncode == 1
    assert "another version of Quorate" in refused.stderr
    assert "`quorate rebuild`" in refused.stderr
    subprocess.run(
        [sys.executable, "-m", "quorate.cli.main", "rebuild", "--data-dir", str(data_dir)],
        env=environment(),
        check=True,
        capture_output=True,
        timeout=REBUILD_SECONDS_MAX,
    )
    Running(data_dir).start().stop()
