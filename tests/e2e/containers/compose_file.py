"""Read a Compose file: anchors merged, and variables replaced by their defaults."""

import re
from typing import Any

import yaml  # type: ignore[import-untyped]

from tests.support.paths import ROOT

_VARIABLE = re.compile(r"\$\{\w+:-([^}]*)\}")


class ComposeFile:
    def __init__(self, name: str) -> None:
        text = _VARIABLE.sub(r"\1", (ROOT / name).read_text())
        read: dict[str, Any] = yaml.safe_load(text)
        self.services: dict[str, dict[str, Any]] = read["services"]
        self.volumes: dict[str, Any] = read.get("volumes", {})
        self.networks: dict[str, Any] = read.get("networks", {})
