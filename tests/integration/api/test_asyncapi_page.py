"""The AsyncAPI page shows the document with files of the service only, without inline scripts."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from quorate.api.asyncapi_page import (
    ASSETS,
    ASSETS_PATH,
    CONTENT_SECURITY_POLICY,
    asyncapi_page,
)
from quorate.api.documents import STATIC, asyncapi_document
from tests.integration.api.raw_clients import RunningService, run_service

FOLDER = STATIC / "asyncapi"
PAGE = asyncapi_page().decode()
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
RENDER_SECONDS_MAX = 180


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    with run_service(tmp_path_factory.mktemp("service")) as service:
        yield service


def test_page_loads_files_of_the_service_only() -> None:
    addresses = re.findall(r'(?:src|href)="([^"]*)"', PAGE)

    assert {f"{ASSETS_PATH}{name}" for name in ASSETS} < set(addresses)
    assert all(one.startswith("/") for one in addresses)
    assert "<style" not in PAGE
    assert re.findall(r"<script[^>]*>[^<]", PAGE) == []
    assert re.findall(r"\son\w+=", PAGE) == []


def test_policy_permits_no_inline_script_and_no_eval() -> None:
    assert "unsafe" not in CONTENT_SECURITY_POLICY
    assert "http" not in CONTENT_SECURITY_POLICY
    assert "default-src 'none'" in CONTENT_SECURITY_POLICY


def test_licences_are_beside_the_files() -> None:
    names = {path.name for path in FOLDER.iterdir()}

    assert names == {*ASSETS, "LICENSE", "asyncapi.js.LICENSE.txt", "README.md"}
    assert "Apache License" in (FOLDER / "LICENSE").read_text()


def test_service_serves_page_and_files(service: RunningService) -> None:
    page = service.request("GET", "/asyncapi")

    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["content-security-policy"] == CONTENT_SECURITY_POLICY
    assert page.body.decode() == PAGE
    assert page.headers["x-content-type-options"] == "nosniff"
    assert service.request("GET", "/asyncapi.json").json == asyncapi_document()
    for name in ASSETS:
        file = service.request("GET", ASSETS_PATH + name)
        media = "text/css" if name.endswith(".css") else "text/javascript"
        assert file.headers["content-type"] == f"{media}; charset=utf-8"
        assert file.body == (FOLDER / name).read_bytes()


@pytest.mark.parametrize("name", ["LICENSE", "missing.js", "..%2F..%2Fdocuments.py"])
def test_other_files_are_not_served(service: RunningService, name: str) -> None:
    assert service.request("GET", ASSETS_PATH + name).status == 404


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
def test_browser_shows_every_operation(service: RunningService, tmp_path: Path) -> None:
    assert CHROMIUM is not None
    done = subprocess.run(
        [
            *(CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu"),
            *("--enable-logging=stderr", "--virtual-time-budget=20000", "--dump-dom"),
            *(f"--user-data-dir={tmp_path}", f"http://127.0.0.1:{service.port}/asyncapi"),
        ],
        capture_output=True,
        text=True,
        timeout=RENDER_SECONDS_MAX,
        check=True,
    )

    assert "Content Security Policy" not in done.stderr
    for name, operation in asyncapi_document()["operations"].items():
        assert f">{name}<" in done.stdout
        assert operation["summary"].replace("'", "&#x27;") in done.stdout.replace("'", "&#x27;")
