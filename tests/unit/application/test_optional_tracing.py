"""The SDK of OpenTelemetry is imported only if a collector is named, and is then required."""

import subprocess
import sys

import pytest

from quorate.application import tracing
from quorate.application.tracing import DISABLED_VARIABLE, ENDPOINT_VARIABLES, EXPORTER_VARIABLE
from tests.e2e.service.service_process import environment

LOADED = """
import sys
from quorate.api import app
from quorate.server import run
from quorate.application.tracing import create_tracing
assert create_tracing(None) is None
# FastAPI imports the interface of OpenTelemetry in any case.
print([name for name in sys.modules if name.startswith("opentelemetry.sdk")])
"""


@pytest.fixture(autouse=True)
def unconfigured(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*ENDPOINT_VARIABLES, EXPORTER_VARIABLE, DISABLED_VARIABLE):
        monkeypatch.delenv(name, raising=False)


def test_tracing_imports_no_sdk_without_a_collector() -> None:
    variables = {
        name: value for name, value in environment().items() if not name.startswith("OTEL_")
    }
    result = subprocess.run(
        [sys.executable, "-c", LOADED], env=variables, capture_output=True, text=True, check=True
    )

    assert result.stdout == "[]\n"


@pytest.mark.parametrize("variable", ENDPOINT_VARIABLES)
def test_tracing_names_the_missing_package_when_a_collector_is_set(
    monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setitem(sys.modules, "quorate.application.spans", None)
    monkeypatch.setenv(variable, "http://127.0.0.1:4318")

    with pytest.raises(tracing.TracingNotInstalled, match=r"pip install 'quorate\[otel\]'"):
        tracing.create_tracing(None)
