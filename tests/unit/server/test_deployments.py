"""The unit of systemd and the manifests of Kubernetes use options and paths that exist."""

import configparser
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import pytest
import yaml  # type: ignore[import-untyped]

from quorate.cli.commands.serve import serve
from quorate.contracts.registry import OPERATIONS
from tests.support.paths import ROOT

UNIT = ROOT / "deploy" / "systemd" / "quorate.service"
MANIFESTS = sorted((ROOT / "deploy" / "kubernetes").glob("*.yaml"))
OPTIONS = {f"QUORATE_{one.name.upper()}" for one in serve.params if isinstance(one, click.Option)}
USER = "10001:10001"


def resources(manifest: str) -> Iterator[Mapping[str, Any]]:
    yield from yaml.safe_load_all(manifest)


def pods() -> Iterator[Any]:
    for path in MANIFESTS:
        for resource in resources(path.read_text()):
            if "template" in resource.get("spec", {}):
                name = f"{path.stem} {resource['kind']}"
                yield pytest.param(resource["spec"]["template"]["spec"], id=name)


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.stem)
def test_manifests_set_existing_options(path: Path) -> None:
    names: set[str] = set()
    for resource in resources(path.read_text()):
        names |= set(resource.get("data", {}))
        template = resource.get("spec", {}).get("template", {})
        for container in template.get("spec", {}).get("containers", ()):
            names |= {one["name"] for one in container.get("env", ())}

    assert names
    assert names <= OPTIONS


@pytest.mark.parametrize("pod", list(pods()))
def test_pods_run_as_the_user_of_the_image_without_privileges(pod: Mapping[str, Any]) -> None:
    (container,) = pod["containers"]

    security = pod["securityContext"]
    assert f"{security['runAsUser']}:{security['runAsGroup']}" == USER
    assert f"USER {USER}" in (ROOT / "Dockerfile").read_text()
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    # Kubernetes would set QUORATE_PORT to tcp://... for the Service of this name.
    assert pod["enableServiceLinks"] is False


def test_probes_call_existing_operations() -> None:
    paths = {operation.path for operation in OPERATIONS}
    probes = [
        container[probe]["httpGet"]["path"]
        for pod in pods()
        for container in pod.values[0]["containers"]
        for probe in ("startupProbe", "livenessProbe", "readinessProbe")
        if probe in container
    ]

    assert len(probes) == 2 * 3
    assert set(probes) <= paths


def test_unit_sets_existing_options() -> None:
    unit = configparser.ConfigParser(interpolation=None, strict=False)
    unit.optionxform = str  # type: ignore[assignment,method-assign]  # Names have capital letters.
    unit.read(UNIT)

    name, _, value = unit["Service"]["Environment"].partition("=")
    assert name in OPTIONS
    assert value == f"/var/lib/{unit['Service']['StateDirectory']}"


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd-analyze")
def test_unit_is_valid(tmp_path: Path) -> None:
    """Only the program is missing here."""
    (tmp_path / UNIT.name).write_text(
        UNIT.read_text().replace("/opt/quorate/bin/quorate", "/bin/true")
    )
    found = subprocess.run(
        ["systemd-analyze", "verify", str(tmp_path / UNIT.name)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert UNIT.name not in found.stderr
