"""Client generators and validators accept the OpenAPI document without warnings.

The generated clients do one lease round trip with a running service. Every tool also refuses a
document with an error, so that a test cannot pass with a tool that checks nothing.
"""

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import TypeAlias

import pytest

from quorate.api.openapi import openapi_document
from tests.integration.api.generated_clients import HEY_API, OPENAPI_FETCH, PYTHON
from tests.integration.api.generators import (
    find_node_package,
    find_program,
    run,
    run_successfully,
    write_document,
)
from tests.integration.api.raw_clients import RunningService, run_service

Command: TypeAlias = tuple[Path, *tuple[object, ...]]
COMPILER_OPTIONS = {
    "strict": True,
    "target": "es2022",
    "module": "nodenext",
    "lib": ["es2022", "dom", "dom.iterable"],
    "types": [],
    "skipLibCheck": True,  # The generated types are in ".ts" files, which are checked.
    "outDir": "compiled",
}
ROUND_TRIP = {"contact": "kim@example.com", "isProlonged": True, "released": True}


def spec_validator(document: Path) -> Command:
    return find_program("openapi-spec-validator"), document


def redocly(document: Path) -> Command:
    program = find_program("redocly")
    return program, "lint", "--extends=recommended", "--format=json", document


def python_client(document: Path) -> Command:
    program = find_program("openapi-python-client")
    options = ("--output-path", document.parent / "generated", "--meta=none", "--fail-on-warning")
    return program, "generate", "--path", document, *options


def hey_api(document: Path) -> Command:
    output = document.parent / "generated"
    return find_program("openapi-ts"), "-i", document, "-o", output, "--no-log-file"


def openapi_typescript(document: Path) -> Command:
    # By default, the generator makes request fields with a default value mandatory.
    output = document.parent / "generated.ts"
    options = ("--output", output, "--default-non-nullable=false")
    return find_program("openapi-typescript"), document, *options


TOOLS = (spec_validator, redocly, python_client, hey_api, openapi_typescript)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    with run_service(tmp_path_factory.mktemp("service")) as service:
        yield service


def generate(tool: Callable[[Path], Command], folder: Path) -> None:
    document = write_document(folder, openapi_document())
    run_successfully(*tool(document), folder=folder)


def compiler(program: str, folder: Path) -> Command:
    """Write a TypeScript program, and return the command that compiles it strictly."""
    (folder / "main.ts").write_text(program)
    settings = {"compilerOptions": COMPILER_OPTIONS, "files": ["main.ts"]}
    (folder / "tsconfig.json").write_text(json.dumps(settings))
    return find_program("tsc"), "--project", "tsconfig.json"


def compile_and_run(program: str, folder: Path, service: RunningService) -> str:
    """Compile a TypeScript program, run it, and return its output."""
    run_successfully(*compiler(program, folder), folder=folder)
    compiled = folder / "compiled" / "main.js"
    url = f"http://127.0.0.1:{service.port}"
    return run_successfully(find_program("node"), compiled, url, service.key, folder=folder).stdout


@pytest.mark.parametrize("tool", [spec_validator, redocly])
def test_document_is_valid(tool: Callable[[Path], Command], tmp_path: Path) -> None:
    command = tool(write_document(tmp_path, openapi_document()))
    done = run(*command, folder=tmp_path)

    assert done.returncode == 0, done.stdout + done.stderr
    if tool is redocly:
        # "ignored" counts the problems that a configuration file suppresses.
        assert json.loads(done.stdout)["totals"] == {"errors": 0, "warnings": 0, "ignored": 0}


@pytest.mark.parametrize("tool", TOOLS)
def test_document_with_a_missing_schema_is_refused(
    tool: Callable[[Path], Command], tmp_path: Path
) -> None:
    broken = deepcopy(openapi_document())
    del broken["components"]["schemas"]["LeaseInfo"]

    done = run(*tool(write_document(tmp_path, broken)), folder=tmp_path)

    assert done.returncode != 0
    # Some tools print the name of the schema, others only that a reference has no target.
    assert re.search(r"LeaseInfo|Can't resolve \$ref", done.stdout + done.stderr)


def test_redocly_warns_about_a_missing_license(tmp_path: Path) -> None:
    incomplete = deepcopy(openapi_document())
    del incomplete["info"]["license"]

    done = run(*redocly(write_document(tmp_path, incomplete)), folder=tmp_path)

    assert json.loads(done.stdout)["totals"]["warnings"] == 1


def test_generated_python_client_does_a_lease_round_trip(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    # The environment of the generator has the packages that the generated client imports.
    interpreter = find_program("openapi-python-client").resolve().parent / "python"
    generate(python_client, tmp_path)
    service: RunningService = request.getfixturevalue("service")
    (tmp_path / "main.py").write_text(PYTHON)

    url = f"http://127.0.0.1:{service.port}"
    done = subprocess.run(
        [interpreter, "-W", "error", "main.py", url, service.key],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == ROUND_TRIP


def test_client_of_hey_api_does_a_lease_round_trip(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    find_program("tsc")
    generate(hey_api, tmp_path)

    output = compile_and_run(HEY_API, tmp_path, request.getfixturevalue("service"))

    assert json.loads(output) == ROUND_TRIP


def test_client_of_openapi_typescript_does_a_lease_round_trip(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    find_program("tsc")
    (tmp_path / "node_modules").symlink_to(find_node_package("openapi-fetch"))
    generate(openapi_typescript, tmp_path)

    output = compile_and_run(OPENAPI_FETCH, tmp_path, request.getfixturevalue("service"))

    assert json.loads(output) == ROUND_TRIP


def test_program_with_a_wrong_type_is_refused_by_the_compiler(tmp_path: Path) -> None:
    find_program("tsc")
    (tmp_path / "node_modules").symlink_to(find_node_package("openapi-fetch"))
    generate(openapi_typescript, tmp_path)
    wrong = OPENAPI_FETCH.replace("durationMinutes: 60", 'durationMinutes: "60"')

    done = run(*compiler(wrong, tmp_path), folder=tmp_path)

    assert done.returncode != 0
    assert "Type 'string' is not assignable to type 'number'" in done.stdout
