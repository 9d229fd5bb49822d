"""A Docker engine and images, for tests that need them: where they are missing, it is said why.

Images are those that docker-compose.yml names. Where none can be fetched, stand-ins of the same
names under STAND_INS do, if somebody has built them: see the program stand-ins beside this file.
"""

import os
import socket
from functools import cache

import docker  # type: ignore[import-untyped]
import pytest
from docker.errors import DockerException, ImageNotFound  # type: ignore[import-untyped]
from testcontainers.core.config import testcontainers_config

from tests.e2e.containers.compose_file import Composed

STAND_INS = "quorate-stand-in"
UNIX = "unix://"
DOCKER_HOST_DEFAULT = "unix:///var/run/docker.sock"
ASK_SECONDS_MAX = 5
PULL_SECONDS_MAX = 90

# Whoever starts a container here also ends it: no other container need be there to clean up.
testcontainers_config.ryuk_disabled = True


@cache
def _missing_engine() -> str | None:
    where = os.environ.get("DOCKER_HOST", DOCKER_HOST_DEFAULT)
    try:
        if where.startswith(UNIX):  # Else the library leaves a socket open that was refused.
            with socket.socket(socket.AF_UNIX) as looking:
                looking.connect(where.removeprefix(UNIX))
        docker.from_env(timeout=ASK_SECONDS_MAX).ping()
    except (DockerException, OSError) as error:
        return f"no Docker engine can be reached at {where}: {error}"
    return None


def needs_engine() -> None:
    if (why := _missing_engine()) is not None:
        pytest.skip(why)


def image(service: str) -> str:
    """The image of a service of docker-compose.yml, which is then on this machine."""
    needs_engine()
    named = Composed("docker-compose.yml").services[service]["image"]
    engine = docker.from_env(timeout=PULL_SECONDS_MAX)
    for name in (named, f"{STAND_INS}/{named}"):
        try:
            engine.images.get(name)
        except ImageNotFound:
            continue
        return str(name)
    try:
        engine.images.pull(*named.split(":"))
    except (DockerException, OSError) as error:
        pytest.skip(f"the image {named} is not here and cannot be fetched: {error}")
    return str(named)


def stand_in(name: str) -> str:
    """The stand-in for an image, if it was built, else the name of the image itself."""
    try:
        docker.from_env(timeout=ASK_SECONDS_MAX).images.get(f"{STAND_INS}/{name}")
    except ImageNotFound:
        return name
    return f"{STAND_INS}/{name}"
