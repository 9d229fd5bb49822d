"""The extensions that CONTRIBUTING.md shows work, and touch only the files that it names.

The diffs of each section are applied to a copy of the repository, where a trial runs.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.source_tree import FILES, path_name
from tests.support.paths import ROOT

SECONDS_MAX = 300
PAGE = (ROOT / "CONTRIBUTING.md").read_text()
_DIFF = re.compile(r"^```diff\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_TOUCHED = re.compile(r"^\+\+\+ b/(.+)$", re.MULTILINE)

EVENT = {
    "domain/coordination/leases.py",
    "tests/golden/events/LeaseIntentChanged.v1.json",
}
AGGREGATE = {
    "domain/coordination/pauses.py",
    "domain/registry.py",
    "projections/coordination/pauses.py",
    "projections/registry.py",
    "projections/migrations/revisions.py",
    "projections/migrations/versions/r0028_pauses.py",
    "tests/golden/events/ContactPaused.v1.json",
    "tests/golden/events/PauseEnded.v1.json",
}
OPERATION = {
    "application/coordination/leases.py",
    "contracts/coordination/leases.py",
}
TRIALS = {
    "Add a command and its event": ("event", EVENT),
    "Add an aggregate": ("aggregate", AGGREGATE),
    "Offer a command to callers": ("command", OPERATION),
    "Add a query": ("query", OPERATION),
}
# A section that continues another one.
CONTINUES = {"Offer a command to callers": "Add a command and its event"}


def patch_of(section: str) -> str:
    """Return all diffs of one section of the page."""
    text = PAGE.split(f"\n### {section}\n", 1)[1]
    text = re.split(r"^##", text, maxsplit=1, flags=re.MULTILINE)[0]
    return "".join(_DIFF.findall(text))


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the versioned files of the repository."""
    folder = tmp_path / "copy"
    for path in FILES:
        target = folder / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, target)
    links = folder / "src" / "quorate"
    for link in (ROOT / "src" / "quorate").iterdir():
        if link.is_symlink():
            (links / link.name).symlink_to(link.readlink())
    return folder


def run_trial(copy: Path, trial: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", f"tests.architecture.trials.{trial}"],
        cwd=copy,
        env={"PYTHONPATH": f"{copy / 'src'}:{copy}", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
        check=False,
    )


@pytest.mark.parametrize("section", TRIALS)
def test_extension_touches_only_the_named_files(section: str) -> None:
    assert set(_TOUCHED.findall(patch_of(section))) == TRIALS[section][1]


@pytest.mark.parametrize("section", TRIALS)
def test_extension_works_in_a_copy(section: str, copy: Path) -> None:
    trial, _ = TRIALS[section]
    if section in CONTINUES:
        apply_patch(copy, CONTINUES[section])
    assert run_trial(copy, trial).returncode != 0, "without the extension the trial must fail"

    apply_patch(copy, section)
    result = run_trial(copy, trial)
    assert (result.returncode, result.stdout) == (0, "passed\n"), result.stderr


def apply_patch(copy: Path, section: str) -> None:
    applied = subprocess.run(
        ["git", "apply", "-C1", "-"],
        cwd=copy,
        input=patch_of(section),
        text=True,
        capture_output=True,
        check=False,
    )
    assert applied.returncode == 0, applied.stderr


def test_page_is_part_of_the_repository() -> None:
    assert "CONTRIBUTING.md" in {path_name(path) for path in FILES}
