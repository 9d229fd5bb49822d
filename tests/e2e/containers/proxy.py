"""Caddy with deploy/Caddyfile as the proxy of local replicas, if Caddy is installed."""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from tests.e2e.containers.servers import HOST, free_port, wait_until_reachable
from tests.support.certificates import Certificates
from tests.support.paths import ROOT


class Proxy:
    def __init__(
        self, folder: Path, ports: Sequence[int], certificates: Certificates | None = None
    ) -> None:
        program = shutil.which("caddy")
        if program is None:
            pytest.skip("Caddy is not installed")
        scheme = "http" if certificates is None else "https"
        self.port, health_port = free_port(), free_port()
        self.url = f"{scheme}://{HOST}:{self.port}"
        self._health_url = f"http://{HOST}:{health_port}"
        self._command = [program, "run", "--adapter", "caddyfile", "--config"]
        self._command.append(str(ROOT / "deploy" / "Caddyfile"))
        self._environment = {
            "HOME": str(folder),
            "QUORATE_SITE": f"{scheme}://:{self.port}",
            "QUORATE_REPLICAS": " ".join(f"{HOST}:{each}" for each in ports),
            "QUORATE_PROXY_HEALTH_PORT": str(health_port),
        }
        if certificates is not None:
            files = f"{certificates.certificate('http')} {certificates.key('http')}"
            self._environment["QUORATE_TLS"] = f"tls {files}"
        self._log = folder / "caddy.log"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, env=self._environment, stderr=log)
        wait_until_reachable(self._health_url)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()
