"""What mypy and pyright say to those who use the SDK, as it is installed from the wheel.

Right uses pass under the strictest settings, wrong ones are refused for the right reason: see
`right_uses.py` and `wrong_uses.py`. Both checkers run once, away from this repository.
"""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias
from zipfile import ZipFile

import pytest

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
BIN = Path(sys.executable).parent
USES = sorted(path.name for path in HERE.glob("*_uses*.py"))
SECONDS_MAX = 100
# What each checker must refuse, or its settings would let everything pass.
CONTROL = "control.py"
CONTROL_TEXT = """\
from quorate.client import LeaseLostError

named: int = LeaseLostError.__name__
idle = 1  # type: ignore[assignment]
idle = 1  # pyright: ignore[reportArgumentType]
"""
Complaint: TypeAlias = tuple[str, int]  # A file and a line of it.


class Outsider(NamedTuple):
    """A folder with somebody's program in it, and the interpreter that it is written for."""

    folder: Path
    python: Path


@pytest.fixture(scope="module")
def outsider(tmp_path_factory: pytest.TempPathFactory) -> Outsider:
    """Quorate is installed there from its wheel; what it needs is borrowed from here."""
    home, folder = tmp_path_factory.mktemp("installed"), tmp_path_factory.mktemp("program")
    venv.create(home, symlinks=True)
    python = home / "bin" / "python"
    names = {"base": str(home), "platbase": str(home)}
    packages = Path(sysconfig.get_path("purelib", vars=names))
    build = (sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory")
    subprocess.run([*build, str(home)], cwd=ROOT, check=True, capture_output=True)
    with ZipFile(next(home.glob("*.whl"))) as wheel:
        wheel.extractall(packages)
    borrowed = sysconfig.get_path("purelib")
    (packages / "borrowed.pth").write_text(f"{borrowed}\n")
    for name in USES:
        shutil.copy(HERE / name, folder)
    (folder / CONTROL).write_text(CONTROL_TEXT)
    return Outsider(folder, python)


def said(outsider: Outsider, *command: str) -> str:
    done = subprocess.run(
        command,
        cwd=outsider.folder,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr  # Because of the control.
    return done.stdout


@pytest.fixture(scope="module")
def by_mypy(outsider: Outsider) -> dict[Complaint, str]:
    mypy = (str(BIN / "mypy"), "--strict", "--no-incremental", "--output", "json")
    config = ("--config-file", os.devnull, "--python-executable", str(outsider.python))
    lines = said(outsider, *mypy, *config, *USES, CONTROL).splitlines()
    found: list[dict[str, Any]] = [json.loads(line) for line in lines]
    return {(one["file"], one["line"]): f"{one['message']} [{one['code']}]" for one in found}


@pytest.fixture(scope="module")
def by_pyright(outsider: Outsider) -> dict[Complaint, str]:
    settings = {
        "typeCheckingMode": "strict",
        "enableTypeIgnoreComments": False,  # Those are mypy's.
        "reportUnnecessaryTypeIgnoreComment": "error",
        "pythonVersion": f"{sys.version_info.major}.{sys.version_info.minor}",
    }
    (outsider.folder / "pyrightconfig.json").write_text(json.dumps(settings))
    python = ("--pythonpath", str(outsider.python))
    told = json.loads(said(outsider, str(BIN / "basedpyright"), "--outputjson", *python))
    return {
        (Path(one["file"]).name, one["range"]["start"]["line"] + 1): (
            f"{one['message']} [{one.get('rule')}]"
        )
        for one in told["generalDiagnostics"]
    }


def about(name: str, complaints: dict[Complaint, str]) -> dict[int, str]:
    return {line: what for (file, line), what in complaints.items() if file == name}


@pytest.mark.parametrize("name", USES)
def test_mypy_accepts_what_is_right_and_refuses_what_is_wrong(
    by_mypy: dict[Complaint, str], name: str
) -> None:
    assert about(name, by_mypy) == {}


@pytest.mark.parametrize("name", USES)
def test_pyright_accepts_what_is_right_and_refuses_what_is_wrong(
    by_pyright: dict[Complaint, str], name: str
) -> None:
    assert about(name, by_pyright) == {}


def test_both_would_complain(
    by_mypy: dict[Complaint, str], by_pyright: dict[Complaint, str]
) -> None:
    """Of a wrong type, which they only know from our package, and of a needless comment."""
    assert set(about(CONTROL, by_mypy)) == {3, 4}
    assert set(about(CONTROL, by_pyright)) == {3, 5}


@pytest.mark.parametrize("name", [name for name in USES if name.startswith("wrong")])
def test_each_wrong_line_is_marked_for_both(name: str) -> None:
    lines = (HERE / name).read_text().splitlines()
    marked = Counter(("# type: ignore[" in line, "# pyright: ignore[" in line) for line in lines)

    assert marked[True, True] > 0
    assert marked[True, False] == marked[False, True] == 0
