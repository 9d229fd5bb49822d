"""Programs that validate the API documents or generate clients, and the folders to find them.

* A Python program is found on ``PATH``. A Node package is found in ``node_modules`` of the
  repository or on ``NODE_PATH``.
* A test is skipped if its program is not installed. CONTRIBUTING.md lists the programs.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.paths import ROOT

RUN_SECONDS_MAX = 300.0
# The programs must not contact their vendors from a test.
_OFFLINE = {
    "REDOCLY_TELEMETRY": "off",
    "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true",
    "SCARF_ANALYTICS": "false",
    "NO_COLOR": "1",
}


def node_folders() -> list[Path]:
    """Return the folders with Node packages that exist."""
    listed = [one for one in os.environ.get("NODE_PATH", "").split(os.pathsep) if one]
    folders = [ROOT / "node_modules", *map(Path, listed)]
    return [folder.resolve() for folder in folders if folder.is_dir()]


def find_program(name: str) -> Path:
    """Return the path of a program, or skip the test."""
    folders = [str(folder / ".bin") for folder in node_folders()]
    found = shutil.which(name, path=os.pathsep.join([*folders, os.environ["PATH"]]))
    if found is None:
        pytest.skip(f"needs {name}, on PATH or as a Node package on NODE_PATH")
    return Path(found)


def find_node_package(name: str) -> Path:
    """Return the folder that contains a Node package, or skip the test."""
    if shutil.which("node") is not None:
        for folder in node_folders():
            if (folder / name).is_dir():
                return folder
    pytest.skip(f"needs node and {name}, in node_modules or on NODE_PATH")


def run(
    program: Path, *arguments: object, folder: Path, **variables: str
) -> "subprocess.CompletedProcess[str]":
    """Run a program in a folder. Programs of the same installation come first on its PATH."""
    path = os.pathsep.join([str(program.resolve().parent), os.environ["PATH"]])
    return subprocess.run(
        [program, *map(str, arguments)],
        cwd=folder,
        env=os.environ | _OFFLINE | {"PATH": path} | variables,
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS_MAX,
        check=False,
    )


def run_successfully(
    program: Path, *arguments: object, folder: Path, **variables: str
) -> "subprocess.CompletedProcess[str]":
    """Run a program, and assert that it succeeds without warnings."""
    done = run(program, *arguments, folder=folder, **variables)
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    assert "warn" not in output.lower(), output
    return done


def write_document(folder: Path, document: dict[str, Any]) -> Path:
    path = folder / "document.json"
    path.write_text(json.dumps(document))
    return path
