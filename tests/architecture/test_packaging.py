"""What a wheel holds, and what may be asked of a machine that only installed the base.

The wheel is built and unpacked for real; its code then runs away from this repository, so that
nothing is found here by accident.
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

# Loads everything an agent may use, then tells which modules came along.
AS_AN_AGENT = """
import importlib, json, pkgutil, sys
at_start = set(sys.modules)  # what the interpreter's own site-packages loads is not ours
import quorate, quorate.client, quorate.domain
for package in (quorate.client, quorate.domain):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)
from quorate.cli.main import main
try:
    main(["--help"])
except SystemExit as end:
    assert not end.code, end.code
print(json.dumps({"from": quorate.__file__, "loaded": sorted(set(sys.modules) - at_start)}))
"""


class Unpacked(NamedTuple):
    """The wheel's table of contents, and where its code lies."""

    names: list[str]
    path: Path


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Unpacked:
    built, path = tmp_path_factory.mktemp("built"), tmp_path_factory.mktemp("unpacked")
    run("-m", "hatchling", "build", "--target", "wheel", "--directory", str(built), cwd=ROOT)
    with ZipFile(next(built.glob("*.whl"))) as archive:
        archive.extractall(path)
        return Unpacked(archive.namelist(), path)


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


def with_what_they_need(names: set[str]) -> set[str]:
    """These and all they require; what is not installed was meant for another platform."""
    installed = {distribution(found.name): found for found in distributions()}
    reached: set[str] = set()
    ahead = names & set(installed)
    while ahead:
        reached |= ahead
        needs = [need for name in ahead for need in installed[name].requires or ()]
        ahead = {distribution(need) for need in needs if "extra ==" not in need}
        ahead = ahead & set(installed) - reached
    return reached


def test_a_wheel_exposes_quorate_and_nothing_else(wheel: Unpacked) -> None:
    info = f"quorate-{quorate.__version__}.dist-info"

    assert {name.split("/")[0] for name in wheel.names} == {"quorate", info}
    assert len(wheel.names) == len(set(wheel.names))


def test_a_wheel_holds_every_folder_and_its_types(wheel: Unpacked) -> None:
    expected = {
        f"quorate/{path.relative_to(ROOT)}"
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*.py")
    }

    assert expected <= set(wheel.names)
    assert "quorate/py.typed" in wheel.names


def test_a_wheel_carries_its_licence_and_its_command(wheel: Unpacked) -> None:
    info = wheel.path / f"quorate-{quorate.__version__}.dist-info"
    metadata = Parser().parsestr((info / "METADATA").read_text())

    assert metadata["License-Expression"] == "Apache-2.0"
    assert (info / "licenses" / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()
    assert "quorate = quorate.cli.main:main" in (info / "entry_points.txt").read_text()


def test_the_base_install_needs_no_server_package(wheel: Unpacked) -> None:
    printed = run("-c", AS_AN_AGENT, cwd=wheel.path, PYTHONPATH=str(wheel.path))
    seen = json.loads(printed.splitlines()[-1])
    base = with_what_they_need({distribution(d) for d in declared()["project"]["dependencies"]})
    owners = packages_distributions()
    # A module several distributions share is fine when one of them is ours to use.
    foreign = {
        top: owners[top]
        for top in {name.split(".")[0] for name in seen["loaded"]} & set(owners) - {"quorate"}
        if not base & {distribution(owner) for owner in owners[top]}
    }

    assert Path(seen["from"]).is_relative_to(wheel.path)
    assert foreign == {}


def test_every_folder_is_packed() -> None:
    packed = declared()["tool"]["hatch"]["build"]["targets"]["wheel"]

    assert sorted(packed["sources"]) == sorted([*FOLDERS, "src/quorate"])
    assert packed["include"] == [
        *("/src/quorate/*.py", "/src/quorate/py.typed"),
        *(f"/{folder}" for folder in FOLDERS),
    ]


def test_the_lock_pins_what_is_declared() -> None:
    project = declared()
    wanted = [
        *project["project"]["dependencies"],
        *project["project"]["optional-dependencies"]["server"],
        *project["dependency-groups"]["dev"],
    ]
    pinned = re.findall(r"^([\w.-]+)==", (ROOT / "requirements.lock").read_text(), re.MULTILINE)

    assert {distribution(requirement) for requirement in wanted} <= set(pinned)
