"""A deployment with TLS only: HTTPS at the proxy, and NATS with a certificate.

Clients learn the certificate authority from SSL_CERT_FILE only.
"""

import os
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from quorate.client import Agent, LeaseConflictError
from tests.e2e.containers.deployment import run_cli
from tests.e2e.containers.proxy import Proxy
from tests.e2e.containers.servers import HOST, free_port, nats_configuration, wait_until_healthy
from tests.e2e.service.service_process import ServiceProcess, environment
from tests.e2e.service.test_external_nats import nats_server
from tests.support.certificates import Certificates

CONTACT = "user@example.com"


class TlsDeployment:
    """Addresses, API key and certificate authority of a deployment."""

    def __init__(self, url: str, nats_url: str, api_key: str, certificates: Certificates) -> None:
        self.url = url
        self.nats_url = nats_url
        self.api_key = api_key
        self.variables = {
            "QUORATE_URL": url,
            "QUORATE_API_KEY": api_key,
            "SSL_CERT_FILE": str(certificates.ca),
        }

    def cli(self, *words: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "quorate.cli.main", *words],
            env=environment(**{**self.variables, **variables}),
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture(scope="module")
def tls_deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsDeployment]:
    folder = tmp_path_factory.mktemp("tls")
    certificates = Certificates(folder / "certificates")
    port, nats_port, monitor = free_port(), free_port(), free_port()
    secrets = folder / "secrets"
    run_cli("secrets", str(secrets))
    configuration = folder / "nats.conf"
    configuration.write_text(
        nats_configuration(
            secrets,
            *("--tls-certificate", str(certificates.certificate("nats"))),
            *("--tls-key", str(certificates.key("nats"))),
            listen=f"{HOST}:{nats_port}",
            monitor=f"{HOST}:{monitor}",
            store=folder / "jetstream",
        )
    )
    service = ServiceProcess(
        folder / "data",
        *("--port", str(port)),
        *("--nats-url", f"tls://{HOST}:{nats_port}"),
        *("--nats-keys-file", str(secrets / "nats_keys.json")),
        variables={"SSL_CERT_FILE": str(certificates.ca)},
    )
    with nats_server(configuration), Proxy(folder, [port], certificates) as proxy:
        wait_until_healthy(monitor)
        service.start()
        try:
            yield TlsDeployment(
                proxy.url, f"tls://{HOST}:{nats_port}", service.api_key, certificates
            )
        finally:
            service.end()


async def test_agents_work_over_https_and_receive_notifications_over_tls(
    tls_deployment: TlsDeployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", tls_deployment.variables["SSL_CERT_FILE"])
    where = (tls_deployment.url, tls_deployment.api_key)
    async with (
        Agent.connect(*where, name="outreach-agent", nats_url="") as holder,
        Agent.connect(*where, name="retention-agent", nats_url=tls_deployment.nats_url) as rival,
    ):
        async with holder.lease(CONTACT):
            with pytest.raises(LeaseConflictError):
                async with rival.lease(CONTACT):
                    pass
        received = set()
        async for notification in rival.notifications():
            received.add(notification.name)
            if notification.name == "lease_available":
                break
    assert "lease_conflict" in received


def test_doctor_succeeds(tls_deployment: TlsDeployment) -> None:
    examined = tls_deployment.cli("doctor", "--nats-url", tls_deployment.nats_url, "--no-json")

    assert examined.returncode == 0, examined.stdout
    assert f"{tls_deployment.nats_url}: connected; subscribed to" in examined.stdout
    assert "event stream OK" in examined.stdout


def test_proxy_hides_metrics(tls_deployment: TlsDeployment) -> None:
    context = ssl.create_default_context(cafile=tls_deployment.variables["SSL_CERT_FILE"])

    assert httpx2.get(f"{tls_deployment.url}/livez", verify=context).status_code == 200
    assert httpx2.get(f"{tls_deployment.url}/metrics", verify=context).status_code == 404


def test_client_without_the_authority_sends_no_key(
    tls_deployment: TlsDeployment, tmp_path: Path
) -> None:
    another = Certificates(tmp_path / "another")
    other_authority = {"SSL_CERT_FILE": str(another.ca), "SSL_CERT_DIR": os.devnull}

    listed = tls_deployment.cli("agents", "list", "--no-json", **other_authority)
    examined = tls_deployment.cli(
        "doctor", "--nats-url", tls_deployment.nats_url, "--no-json", **other_authority
    )

    assert listed.returncode == 6
    assert "CERTIFICATE_VERIFY_FAILED" in listed.stderr
    assert examined.returncode != 0
