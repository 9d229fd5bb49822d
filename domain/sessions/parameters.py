"""Errors about the parameters of tools that depend on each other."""

from dataclasses import dataclass

from quorate.domain.shared.errors import Invalid


@dataclass(eq=False)
class MissingParameter(Invalid):
    code, title = "missing_parameter", "A required parameter is missing"
    detail = "missing required parameter: {parameter}"
    parameter: str
