"""Docker engine and images for tests; a test is skipped with the reason when they are missing.

The images are those of docker-compose.yml. Where none can be pulled, substitutes with the same
names under SUBSTITUTE_PREFIX are used, if the program build-substitute-images has built them.
"""

import os
import socket
from functools import cache

import docker  # type: ignore[import-untyped]
import pytest
from docker.errors import DockerException, ImageNotFound  # type: ignore[import-untyped]
from testcontainers.core.config import testcontainers_config

from tests.e2e.containers.compose_file import ComposeFile

SUBSTITUTE_PREFIX = "quorate-substitute"
UNIX = "unix://"
DOCKER_HOST_DEFAULT = "unix:///var/run/docker.sock"
ENGINE_TIMEOUT_SECONDS = 5
PULL_SECONDS_MAX = 90

# Each test ends the containers that it starts, so no clean-up container is needed.
testcontainers_config.ryuk_disabled = True


@cache
def _engine_problem() -> str | None:
    where = os.environ.get("DOCKER_HOST", DOCKER_HOST_DEFAULT)
    try:
        if where.startswith(UNIX):  # The docker library leaves a refused socket open.
            with socket.socket(socket.AF_UNIX) as probe:
                probe.connect(where.removeprefix(UNIX))
        docker.from_env(timeout=ENGINE_TIMEOUT_SECONDS).ping()
    except (DockerException, OSError) as error:
        return f"Docker engine at {where} is unreachable: {error}"
    return None


def require_docker_engine() -> None:
    if (why := _engine_problem()) is not None:
        pytest.skip(why)


def image(service: str) -> str:
    """Return the local name of a service's image; pull it if necessary, or skip the test."""
    require_docker_engine()
    named = ComposeFile("docker-compose.yml").services[service]["image"]
    engine = docker.from_env(timeout=PULL_SECONDS_MAX)
    for name in (named, f"{SUBSTITUTE_PREFIX}/{named}"):
        try:
            engine.images.get(name)
        except ImageNotFound:
            continue
        return str(name)
    try:
        engine.images.pull(*named.split(":"))
    except (DockerException, OSError) as error:
        pytest.skip(f"image {named} is missing and cannot be pulled: {error}")
    return str(named)


def substitute_or_original(name: str) -> str:
    """Return the name of the substitute if it was built, else the name of the image."""
    try:
        docker.from_env(timeout=ENGINE_TIMEOUT_SECONDS).images.get(f"{SUBSTITUTE_PREFIX}/{name}")
    except ImageNotFound:
        return name
    return f"{SUBSTITUTE_PREFIX}/{name}"
