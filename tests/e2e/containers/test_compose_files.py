"""What the compose files promise, read from them: no root, no secret in the open, nothing that
writes where it must not. Whether they also work is another test's question.
"""

import re

import pytest

from quorate.bus.embedded.server import VERSION_MIN
from quorate.cli.commands.db import upgrade
from quorate.cli.commands.nats_config import nats_config
from quorate.cli.commands.secrets import SECRETS
from quorate.cli.commands.serve import serve
from tests.e2e.containers.compose_file import Composed
from tests.support.paths import ROOT

MANY, ONE = Composed("docker-compose.yml"), Composed("docker-compose.single.yml")
SERVICES = [
    pytest.param(service, id=f"{file}-{name}")
    for file, composed in (("many", MANY), ("one", ONE))
    for name, service in composed.services.items()
]
ONCE = {"prepare", "migrate"}
LASTING = {name: each for name, each in MANY.services.items() if name not in ONCE}
DOCKERFILE = (ROOT / "Dockerfile").read_text()
PREPARE = (ROOT / "deploy" / "prepare").read_text()
LOOPBACK = "127.0.0.1"


@pytest.mark.parametrize("service", SERVICES)
def test_no_service_can_gain_rights_or_write_to_its_own_files(service: dict[str, object]) -> None:
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]


@pytest.mark.parametrize("name", LASTING)
def test_whatever_runs_for_long_has_no_root_and_ends_at_a_bound(name: str) -> None:
    service = LASTING[name]
    user = service.get("user", "image's own" if service["image"] == "quorate" else "0")

    assert not str(user).startswith(("0", "root"))
    assert service["deploy"]["resources"]["limits"].keys() == {"cpus", "memory", "pids"}
    assert service["healthcheck"]["test"][0] == "CMD"
    assert service["restart"] == "unless-stopped"
    assert re.search(r"^USER [1-9]\d+:", DOCKERFILE, re.MULTILINE)


def test_root_prepares_without_a_network_and_may_change_owners_alone() -> None:
    prepare = MANY.services["prepare"]

    assert prepare["user"] == "0:0"
    assert prepare["cap_add"] == ["CHOWN"]
    assert prepare["network_mode"] == "none"
    assert prepare["restart"] == "no"
    assert [name for name, each in MANY.services.items() if each.get("cap_add")] == [
        "prepare",
        "proxy",
    ]


@pytest.mark.parametrize("composed", [MANY, ONE], ids=["many", "one"])
def test_what_lasts_is_in_named_volumes_and_the_rest_is_read_only(composed: Composed) -> None:
    for service in composed.services.values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert source in composed.volumes or volume.endswith(":ro"), volume


@pytest.mark.parametrize("service", SERVICES)
def test_ports_are_this_machines_alone_unless_somebody_says_otherwise(
    service: dict[str, list[str]],
) -> None:
    assert [port for port in service.get("ports", []) if not port.startswith(LOOPBACK)] == []


def test_secrets_are_files_and_each_is_given_to_somebody() -> None:
    for name, service in MANY.services.items():
        for variable, value in service.get("environment", {}).items():
            secret = re.search("KEY|PASSWORD", variable)
            assert not secret or (variable.endswith("_FILE") and value.startswith("/")), name
    given = set(re.findall(r"[\w.]+", " ".join(re.findall(r"^chown .*", PREPARE, re.MULTILINE))))
    # The password that NATS servers show each other goes into their configuration.
    assert set(SECRETS) - given == {"nats_route_password"}
    assert "--route-password-file nats_route_password" in PREPARE


def test_every_variable_and_option_is_one_that_the_program_knows() -> None:
    known = {variable(option) for verb in (serve, upgrade) for option in options(verb)}
    told = {
        name
        for composed in (MANY, ONE)
        for service in composed.services.values()
        if service["image"] == "quorate"
        for name in service.get("environment", {})
    }
    assert {name for name in told if name not in known} == set()
    assert set(re.findall(r"--[a-z-]+", PREPARE)) <= set(options(nats_config))


def options(verb: object) -> list[str]:
    parameters = getattr(verb, "params")  # noqa: B009 - click's commands are untyped here.
    return [option for parameter in parameters for option in parameter.opts]


def variable(option: str) -> str:
    return "QUORATE_" + option.removeprefix("--").replace("-", "_").upper()


def test_tables_are_there_before_the_first_replica() -> None:
    assert MANY.services["migrate"]["command"] == ["db", "upgrade"]
    assert MANY.services["migrate"]["depends_on"]["postgres"] == {"condition": "service_healthy"}
    for replica in ("api-1", "api-2"):
        waits_for = MANY.services[replica]["depends_on"]
        assert waits_for["migrate"] == {"condition": "service_completed_successfully"}


def test_the_copy_of_the_log_is_on_all_servers_of_a_cluster_that_is_new_enough() -> None:
    servers = [each for name, each in MANY.services.items() if name.startswith("nats-")]

    assert MANY.services["api-1"]["environment"]["QUORATE_NATS_STREAM_REPLICAS"] == str(
        len(servers)
    )
    for server in servers:
        major, minor = re.findall(r"\d+", server["image"])[:2]
        assert (int(major), int(minor)) >= VERSION_MIN


def test_replicas_believe_the_proxys_network_and_no_other() -> None:
    (network,) = MANY.networks["edge"]["ipam"]["config"]

    assert MANY.services["api-1"]["environment"]["QUORATE_TRUSTED_PROXY"] == network["subnet"]
    assert list(MANY.services["proxy"]["networks"]) == ["edge"]


def test_the_image_has_what_the_wheel_has() -> None:
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().split() if line[0] == "!"}
    layers = {path.name for path in (ROOT / "src" / "quorate").iterdir() if path.is_symlink()}

    assert kept == layers | {"src", "pyproject.toml", "requirements.lock", "README.md", "LICENSE"}
