"""Static properties of the Compose files: no root, no secrets in variables, read-only file systems.

test_compose_up.py tests that they work.
"""

import re

import pytest

from quorate.bus.embedded.server import VERSION_MIN
from quorate.cli.commands.db import upgrade
from quorate.cli.commands.nats_config import nats_config
from quorate.cli.commands.secrets import SECRETS
from quorate.cli.commands.serve import serve
from tests.e2e.containers.compose_file import ComposeFile
from tests.support.paths import ROOT

CLUSTER, SINGLE = ComposeFile("docker-compose.yml"), ComposeFile("docker-compose.single.yml")
SERVICES = [
    pytest.param(service, id=f"{file}-{name}")
    for file, compose_file in (("cluster", CLUSTER), ("single", SINGLE))
    for name, service in compose_file.services.items()
]
ONE_SHOT = {"prepare", "migrate"}
PERMANENT = {name: each for name, each in CLUSTER.services.items() if name not in ONE_SHOT}
DOCKERFILE = (ROOT / "Dockerfile").read_text()
PREPARE = (ROOT / "deploy" / "prepare").read_text()
LOOPBACK = "127.0.0.1"


@pytest.mark.parametrize("service", SERVICES)
def test_service_has_no_privileges_and_a_read_only_file_system(service: dict[str, object]) -> None:
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]


@pytest.mark.parametrize("name", PERMANENT)
def test_permanent_service_runs_without_root_and_with_resource_limits(name: str) -> None:
    service = PERMANENT[name]
    user = service.get("user", "user of the image" if service["image"] == "quorate" else "0")

    assert not str(user).startswith(("0", "root"))
    assert service["deploy"]["resources"]["limits"].keys() == {"cpus", "memory", "pids"}
    assert service["healthcheck"]["test"][0] == "CMD"
    assert service["restart"] == "unless-stopped"
    assert re.search(r"^USER [1-9]\d+:", DOCKERFILE, re.MULTILINE)


def test_prepare_runs_as_root_without_network_and_may_only_change_owners() -> None:
    prepare = CLUSTER.services["prepare"]

    assert prepare["user"] == "0:0"
    assert prepare["cap_add"] == ["CHOWN"]
    assert prepare["network_mode"] == "none"
    assert prepare["restart"] == "no"
    assert [name for name, each in CLUSTER.services.items() if each.get("cap_add")] == [
        "prepare",
        "proxy",
    ]


@pytest.mark.parametrize("compose_file", [CLUSTER, SINGLE], ids=["cluster", "single"])
def test_writable_mounts_are_named_volumes(compose_file: ComposeFile) -> None:
    for service in compose_file.services.values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert source in compose_file.volumes or volume.endswith(":ro"), volume


@pytest.mark.parametrize("service", SERVICES)
def test_ports_are_published_on_loopback_by_default(
    service: dict[str, list[str]],
) -> None:
    assert [port for port in service.get("ports", []) if not port.startswith(LOOPBACK)] == []


def test_secrets_are_files_and_each_has_an_owner() -> None:
    for name, service in CLUSTER.services.items():
        for variable, value in service.get("environment", {}).items():
            secret = re.search("KEY|PASSWORD", variable)
            assert not secret or (variable.endswith("_FILE") and value.startswith("/")), name
    chowned = set(re.findall(r"[\w.]+", " ".join(re.findall(r"^chown .*", PREPARE, re.MULTILINE))))
    # The route password of the NATS servers is written into their configuration.
    assert set(SECRETS) - chowned == {"nats_route_password"}
    assert "--route-password-file nats_route_password" in PREPARE


def test_variables_and_options_exist_in_the_command_line() -> None:
    known = {variable(option) for command in (serve, upgrade) for option in options(command)}
    used = {
        name
        for compose_file in (CLUSTER, SINGLE)
        for service in compose_file.services.values()
        if service["image"] == "quorate"
        for name in service.get("environment", {})
    }
    assert {name for name in used if name not in known} == set()
    assert set(re.findall(r"--[a-z-]+", PREPARE)) <= set(options(nats_config))


def options(command: object) -> list[str]:
    parameters = getattr(command, "params")  # noqa: B009 - click commands are untyped here.
    return [option for parameter in parameters for option in parameter.opts]


def variable(option: str) -> str:
    return "QUORATE_" + option.removeprefix("--").replace("-", "_").upper()


def test_tables_are_upgraded_before_the_first_replica_starts() -> None:
    assert CLUSTER.services["migrate"]["command"] == ["db", "upgrade"]
    assert CLUSTER.services["migrate"]["depends_on"]["postgres"] == {"condition": "service_healthy"}
    for replica in ("api-1", "api-2"):
        waits_for = CLUSTER.services[replica]["depends_on"]
        assert waits_for["migrate"] == {"condition": "service_completed_successfully"}


def test_mirror_is_replicated_to_all_nats_servers_of_a_supported_version() -> None:
    servers = [each for name, each in CLUSTER.services.items() if name.startswith("nats-")]

    assert CLUSTER.services["api-1"]["environment"]["QUORATE_NATS_STREAM_REPLICAS"] == str(
        len(servers)
    )
    for server in servers:
        major, minor = re.findall(r"\d+", server["image"])[:2]
        assert (int(major), int(minor)) >= VERSION_MIN


def test_replicas_trust_the_network_of_the_proxy_only() -> None:
    (network,) = CLUSTER.networks["edge"]["ipam"]["config"]

    assert CLUSTER.services["api-1"]["environment"]["QUORATE_TRUSTED_PROXY"] == network["subnet"]
    assert list(CLUSTER.services["proxy"]["networks"]) == ["edge"]


def test_image_contains_the_files_of_the_wheel() -> None:
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().split() if line[0] == "!"}
    layers = {path.name for path in (ROOT / "src" / "quorate").iterdir() if path.is_symlink()}

    assert kept == layers | {"src", "pyproject.toml", "requirements.lock", "README.md", "LICENSE"}
