"""Without a collector nothing of OpenTelemetry is loaded; with one, it must be there."""

import subprocess
import sys

import pytest

from quorate.application import tracing
from quorate.application.tracing import DISABLED_VARIABLE, ENDPOINT_VARIABLES, EXPORTER_VARIABLE
from tests.e2e.service.service_process import environment

LOADED = """
import sys
from quorate.server import run
from quorate.application.tracing import tracing_to
assert tracing_to(None) is None
print([name for name in sys.modules if name.startswith("opentelemetry")])
"""


@pytest.fixture(autouse=True)
def unconfigured(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*ENDPOINT_VARIABLES, EXPORTER_VARIABLE, DISABLED_VARIABLE):
        monkeypatch.delenv(name, raising=False)


def test_nothing_is_loaded_that_nobody_asked_for() -> None:
    variables = {
        name: value for name, value in environment().items() if not name.startswith("OTEL_")
    }
    done = subprocess.run(
        [sys.executable, "-c", LOADED], env=variables, capture_output=True, text=True, check=True
    )

    assert done.stdout == "[]\n"


@pytest.mark.parametrize("variable", ENDPOINT_VARIABLES)
def test_a_collector_without_opentelemetry_is_an_obstacle_that_says_what_helps(
    monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setitem(sys.modules, "quorate.application.spans", None)
    monkeypatch.setenv(variable, "http://127.0.0.1:4318")

    with pytest.raises(tracing.TracingNotInstalled, match=r"pip install 'quorate\[otel\]'"):
        tracing.tracing_to(None)
