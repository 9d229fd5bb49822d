"""Certificate authority and server certificates for tests, created by deploy/certificates."""

import shutil
import subprocess
from pathlib import Path

import pytest

from quorate.bus.embedded.cluster_configuration import Tls
from tests.support.paths import ROOT

PROGRAM = ROOT / "deploy" / "certificates"


class Certificates:
    """Certificates valid for localhost, 127.0.0.1 and the given names."""

    def __init__(self, folder: Path, *names: str) -> None:
        if shutil.which("openssl") is None:
            pytest.skip("openssl is not installed")
        subprocess.run([PROGRAM, folder, *names], check=True, capture_output=True)
        self.folder = folder

    @property
    def ca(self) -> Path:
        return self.folder / "ca.pem"

    def certificate(self, server: str) -> Path:
        return self.folder / f"{server}.pem"

    def key(self, server: str) -> Path:
        return self.folder / f"{server}.key"

    @property
    def nats(self) -> Tls:
        """TLS options of a nats-server, or of all servers of a cluster."""
        return Tls(certificate=self.certificate("nats"), key=self.key("nats"), ca=self.ca)
