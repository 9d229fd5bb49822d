"""An import of the SDK is cheap: it loads its dependencies on first use."""

import subprocess
import sys

import pytest

import quorate.client as sdk
from tests.e2e.service.service_process import SOURCES

HEAVY = ("asyncio", "httpx2", "nats", "orjson", "pydantic")
SERVER = (
    "fastapi",
    "faststream",
    "prometheus_client",
    "sqlalchemy",
    "starlette",
    "structlog",
    "uvicorn",
)
ALL_NAMES = ", ".join(sorted(sdk._MODULE_BY_NAME))


def modules_loaded_by(statement: str) -> set[str]:
    program = f"import sys; {statement}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        env={"PYTHONPATH": str(SOURCES)},
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split())


def test_package_import_loads_no_heavy_module() -> None:
    assert modules_loaded_by("import quorate.client").isdisjoint(HEAVY)


def test_agent_import_loads_no_transport_and_no_model_of_a_notification() -> None:
    assert modules_loaded_by("from quorate.client import Agent").isdisjoint(
        {"httpx2", "nats", "quorate.contracts.notifications"}
    )


def test_no_name_loads_a_module_of_the_server() -> None:
    loaded = modules_loaded_by(f"from quorate.client import {ALL_NAMES}, blocking, requests")

    assert loaded.isdisjoint({*SERVER, "nats", "quorate.client.faststream"})
    layers = {name.split(".")[1] for name in loaded if name.startswith("quorate.")}
    assert layers == {"client", "contracts", "domain", "runtime"}


def test_requests_import_loads_no_transport() -> None:
    assert modules_loaded_by("import quorate.client.requests").isdisjoint(
        {"asyncio", "httpx2", "nats"}
    )


@pytest.mark.parametrize("name", sorted(sdk._MODULE_BY_NAME))
def test_package_exports_name(name: str) -> None:
    assert name in dir(sdk)
    assert getattr(sdk, name).__name__ == name


def test_unknown_name_raises_attribute_error() -> None:
    with pytest.raises(AttributeError, match="Agnet"):
        _ = sdk.Agnet  # type: ignore[attr-defined]
