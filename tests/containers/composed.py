"""A compose file as Docker reads it, as far as ours need it: merged, and with its defaults."""

import re
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

ROOT = Path(__file__).parent.parent.parent
_VARIABLE = re.compile(r"\$\{\w+:-([^}]*)\}")


class Composed:
    def __init__(self, name: str) -> None:
        text = _VARIABLE.sub(r"\1", (ROOT / name).read_text())
        read: dict[str, Any] = yaml.safe_load(text)
        self.services: dict[str, dict[str, Any]] = read["services"]
        self.volumes: dict[str, Any] = read.get("volumes", {})
        self.networks: dict[str, Any] = read.get("networks", {})
