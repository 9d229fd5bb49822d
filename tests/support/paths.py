"""Paths inside the repository that tests read."""

from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
GOLDEN_EVENTS = ROOT / "tests" / "golden" / "events"
FIRST_RELEASE = ROOT / "tests" / "golden" / "first_release.sql"
