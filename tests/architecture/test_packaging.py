"""The content of a wheel, and the packages that the client needs without the server extra.

The test builds and unpacks a wheel and runs its code outside this repository, so that no module of
the repository is imported by accident.
"""

import json
import os
import re
import subprocess
import sys
import tomllib
from email.parser import Parser
from importlib.metadata import distributions, packages_distributions
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import ZipFile

import pytest

import quorate
from tests.support.paths import ROOT

FOLDERS = sorted(path.name for path in (ROOT / "src" / "quorate").iterdir() if path.is_symlink())

# Imports everything that an agent may use, then prints the modules that were loaded.
LOAD_CLIENT_MODULES = """
import importlib, json, pkgutil, sys
at_start = set(sys.modules)  # Modules that the interpreter's site-packages load are ignored.
import quorate, quorate.client, quorate.domain
for package in (quorate.client, quorate.domain):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if not module.name.startswith("quorate.client.faststream"):  # These have their own extra.
            importlib.import_module(module.name)
from quorate.cli.main import main
try:
    main(["--help"])
except SystemExit as end:
    assert not end.code, end.code
print(json.dumps({"from": quorate.__file__, "loaded": sorted(set(sys.modules) - at_start)}))
"""


class UnpackedWheel(NamedTuple):
    """The file names in a wheel, and the folder with its unpacked files."""

    names: list[str]
    path: Path


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> UnpackedWheel:
    built, path = tmp_path_factory.mktemp("built"), tmp_path_factory.mktemp("unpacked")
    run("-m", "hatchling", "build", "--target", "wheel", "--directory", str(built), cwd=ROOT)
    with ZipFile(next(built.glob("*.whl"))) as archive:
        archive.extractall(path)
        return UnpackedWheel(archive.namelist(), path)


def run(*arguments: str, cwd: Path, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def declared() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def distribution(requirement: str) -> str:
    name = re.match(r"[\w.-]+", requirement)
    assert name
    return re.sub(r"[-_.]+", "-", name[0]).lower()


def with_requirements(names: set[str]) -> set[str]:
    """Return these distributions and their requirements, except those of other platforms."""
    installed = {distribution(found.name): found for found in distributions()}
    found_names: set[str] = set()
    pending = names & set(installed)
    while pending:
        found_names |= pending
        needs = [need for name in pending for need in installed[name].requires or ()]
        pending = {distribution(need) for need in needs if "extra ==" not in need}
        pending = pending & set(installed) - found_names
    return found_names


def test_wheel_exposes_only_quorate(wheel: UnpackedWheel) -> None:
    info = f"quorate-{quorate.__version__}.dist-info"

    assert {name.split("/")[0] for name in wheel.names} == {"quorate", info}
    assert len(wheel.names) == len(set(wheel.names))


def test_wheel_contains_every_module_static_file_and_the_type_marker(wheel: UnpackedWheel) -> None:
    expected = {
        f"quorate/{path.relative_to(ROOT)}"
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*.py")
    }

    expected |= {
        f"quorate/{path.relative_to(ROOT)}"
        for path in (ROOT / "api" / "static").rglob("*")
        if path.is_file()
    }

    assert expected <= set(wheel.names)
    assert "quorate/py.typed" in wheel.names
    assert "quorate/api/static/asyncapi/page.js" in wheel.names


def test_wheel_contains_static_files_and_their_licences(wheel: UnpackedWheel) -> None:
    static = ROOT / "api" / "static"
    expected = {f"quorate/{path.relative_to(ROOT)}" for path in static.rglob("*") if path.is_file()}
    package = "quorate/api/static/swagger-ui"

    assert expected <= set(wheel.names)
    assert {f"{package}/LICENSE", f"{package}/NOTICE"} <= expected
    info = wheel.path / f"quorate-{quorate.__version__}.dist-info"
    for name in ("LICENSE", "NOTICE"):
        original = (static / "swagger-ui" / name).read_bytes()
        assert (info / "licenses/api/static/swagger-ui" / name).read_bytes() == original


def test_wheel_contains_licence_and_entry_point(wheel: UnpackedWheel) -> None:
    info = wheel.path / f"quorate-{quorate.__version__}.dist-info"
    metadata = Parser().parsestr((info / "METADATA").read_text())

    assert metadata["License-Expression"] == "Apache-2.0"
    assert (info / "licenses" / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()
    assert "quorate = quorate.cli.main:main" in (info / "entry_points.txt").read_text()


def test_client_needs_no_server_package(wheel: UnpackedWheel) -> None:
    printed = run("-c", LOAD_CLIENT_MODULES, cwd=wheel.path, PYTHONPATH=str(wheel.path))
    printed_modules = json.loads(printed.splitlines()[-1])
    base = with_requirements({distribution(d) for d in declared()["project"]["dependencies"]})
    owners = packages_distributions()
    # A module that several distributions share is allowed if the client requires one of them.
    foreign = {
        top: owners[top]
        for top in {name.split(".")[0] for name in printed_modules["loaded"]}
        & set(owners) - {"quorate"}
        if not base & {distribution(owner) for owner in owners[top]}
    }

    assert Path(printed_modules["from"]).is_relative_to(wheel.path)
    assert foreign == {}


def test_every_folder_is_packaged() -> None:
    packed = declared()["tool"]["hatch"]["build"]["targets"]["wheel"]

    assert sorted(packed["sources"]) == sorted([*FOLDERS, "src/quorate"])
    assert packed["include"] == [
        *("/src/quorate/*.py", "/src/quorate/py.typed"),
        *(f"/{folder}" for folder in FOLDERS),
    ]


def test_lock_file_pins_declared_dependencies() -> None:
    project = declared()
    wanted = [
        *project["project"]["dependencies"],
        *project["project"]["optional-dependencies"]["server"],
        *project["dependency-groups"]["dev"],
    ]
    pinned = re.findall(r"^([\w.-]+)==", (ROOT / "requirements.lock").read_text(), re.MULTILINE)

    assert {distribution(requirement) for requirement in wanted} <= set(pinned)
