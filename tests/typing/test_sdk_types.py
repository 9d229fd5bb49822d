"""The types of the SDK, as mypy and pyright see them in a program that installs the wheel.

In strict mode the checkers accept `valid_usage.py` and report the marked errors of
`invalid_usage.py`. Each checker runs once, outside this repository.
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
PROGRAMS = sorted(path.name for path in HERE.glob("*valid_usage*.py"))
TIMEOUT_SECONDS = 280.0
# Each checker must report the errors of this program. Else its settings accept everything.
CONTROL = "control.py"
CONTROL_TEXT = """\
from quorate.client import LeaseLostError

named: int = LeaseLostError.__name__
idle = 1  # type: ignore[assignment]
idle = 1  # pyright: ignore[reportArgumentType]
"""
Location: TypeAlias = tuple[str, int]  # A file and a line number.


class Installation(NamedTuple):
    """A folder with the programs, and the interpreter of their environment."""

    folder: Path
    python: Path


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """Install the wheel of Quorate in a new environment; its dependencies come from this one."""
    environment, folder = tmp_path_factory.mktemp("installed"), tmp_path_factory.mktemp("program")
    venv.create(environment, symlinks=True)
    python = environment / "bin" / "python"
    names = {"base": str(environment), "platbase": str(environment)}
    packages = Path(sysconfig.get_path("purelib", vars=names))
    build = (sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory")
    subprocess.run([*build, str(environment)], cwd=ROOT, check=True, capture_output=True)
    with ZipFile(next(environment.glob("*.whl"))) as wheel:
        wheel.extractall(packages)
    dependencies = sysconfig.get_path("purelib")
    (packages / "dependencies.pth").write_text(f"{dependencies}\n")
    for name in PROGRAMS:
        shutil.copy(HERE / name, folder)
    (folder / CONTROL).write_text(CONTROL_TEXT)
    return Installation(folder, python)


def run_checker(installation: Installation, *command: str) -> str:
    done = subprocess.run(
        command,
        cwd=installation.folder,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr  # The control has errors.
    return done.stdout


@pytest.fixture(scope="module")
def mypy_errors(installation: Installation) -> dict[Location, str]:
    mypy = (str(BIN / "mypy"), "--strict", "--no-incremental", "--output", "json")
    config = ("--config-file", os.devnull, "--python-executable", str(installation.python))
    lines = run_checker(installation, *mypy, *config, *PROGRAMS, CONTROL).splitlines()
    found: list[dict[str, Any]] = [json.loads(line) for line in lines]
    return {(one["file"], one["line"]): f"{one['message']} [{one['code']}]" for one in found}


@pytest.fixture(scope="module")
def pyright_errors(installation: Installation) -> dict[Location, str]:
    settings = {
        "typeCheckingMode": "strict",
        "enableTypeIgnoreComments": False,  # These comments are for mypy.
        "reportUnnecessaryTypeIgnoreComment": "error",
        "pythonVersion": f"{sys.version_info.major}.{sys.version_info.minor}",
    }
    (installation.folder / "pyrightconfig.json").write_text(json.dumps(settings))
    python = ("--pythonpath", str(installation.python))
    output = json.loads(
        run_checker(installation, str(BIN / "basedpyright"), "--outputjson", *python)
    )
    return {
        (Path(one["file"]).name, one["range"]["start"]["line"] + 1): (
            f"{one['message']} [{one.get('rule')}]"
        )
        for one in output["generalDiagnostics"]
    }


def errors_in(name: str, errors: dict[Location, str]) -> dict[int, str]:
    return {line: message for (file, line), message in errors.items() if file == name}


@pytest.mark.parametrize("name", PROGRAMS)
def test_mypy_reports_exactly_the_marked_errors(
    mypy_errors: dict[Location, str], name: str
) -> None:
    assert errors_in(name, mypy_errors) == {}


@pytest.mark.parametrize("name", PROGRAMS)
def test_pyright_reports_exactly_the_marked_errors(
    pyright_errors: dict[Location, str], name: str
) -> None:
    assert errors_in(name, pyright_errors) == {}


def test_both_checkers_report_the_errors_of_the_control(
    mypy_errors: dict[Location, str], pyright_errors: dict[Location, str]
) -> None:
    """A wrong type, which they know only from the package, and an unnecessary comment."""
    assert set(errors_in(CONTROL, mypy_errors)) == {3, 4}
    assert set(errors_in(CONTROL, pyright_errors)) == {3, 5}


@pytest.mark.parametrize("name", [name for name in PROGRAMS if name.startswith("invalid")])
def test_each_invalid_line_is_marked_for_both_checkers(name: str) -> None:
    lines = (HERE / name).read_text().splitlines()
    marked = Counter(("# type: ignore[" in line, "# pyright: ignore[" in line) for line in lines)

    assert marked[True, True] > 0
    assert marked[True, False] == marked[False, True] == 0
