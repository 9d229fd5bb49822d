"""Options that several verbs share."""

from pathlib import Path

import platformdirs


def default_data_dir() -> Path:
    """Where a local service keeps its data unless told otherwise."""
    return Path(platformdirs.user_data_dir("quorate"))
