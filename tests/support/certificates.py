"""Certificates for tests, from deploy/certificates: an authority of its own, and what it signed."""

import shutil
import subprocess
from pathlib import Path

import pytest

from quorate.bus.embedded.cluster_configuration import Tls
from tests.support.paths import ROOT

PROGRAM = ROOT / "deploy" / "certificates"


class Certificates:
    """Valid for localhost, 127.0.0.1 and whatever is named."""

    def __init__(self, folder: Path, *names: str) -> None:
        if shutil.which("openssl") is None:
            pytest.skip("openssl is not installed: there are no certificates to try TLS with")
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
        """For a nats-server, or all of a cluster."""
        return Tls(certificate=self.certificate("nats"), key=self.key("nats"), ca=self.ca)
