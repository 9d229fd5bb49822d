"""A service that is reached by TLS alone: HTTPS at the proxy, and NATS with a certificate.

Whoever connects is told of the authority by SSL_CERT_FILE and by nothing else.
"""

import os
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from quorate.client import Agent, LeaseConflict
from tests.e2e.containers.proxy import Proxy
from tests.e2e.containers.servers import HOST, free_port, nats_configuration, until_well
from tests.e2e.containers.team import quorate
from tests.e2e.service.service_process import Running, environment
from tests.e2e.service.test_external_nats import nats_server
from tests.support.certificates import Certificates

CONTACT = "user@example.com"


class Guarded:
    """Its addresses, its key, and the authority that signed for them."""

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
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    folder = tmp_path_factory.mktemp("tls")
    certificates = Certificates(folder / "certificates")
    port, nats_port, monitor = free_port(), free_port(), free_port()
    secrets = folder / "secrets"
    quorate("secrets", str(secrets))
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
    service = Running(
        folder / "data",
        *("--port", str(port)),
        *("--nats-url", f"tls://{HOST}:{nats_port}"),
        *("--nats-keys-file", str(secrets / "nats_keys.json")),
        variables={"SSL_CERT_FILE": str(certificates.ca)},
    )
    with nats_server(configuration), Proxy(folder, [port], certificates) as proxy:
        until_well(monitor)
        service.start()
        try:
            yield Guarded(proxy.url, f"tls://{HOST}:{nats_port}", service.api_key, certificates)
        finally:
            service.end()


async def test_agents_work_over_https_and_hear_over_tls(
    guarded: Guarded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", guarded.variables["SSL_CERT_FILE"])
    where = (guarded.url, guarded.api_key)
    async with (
        Agent.connect(*where, name="outreach-agent", nats_url="") as holder,
        Agent.connect(*where, name="retention-agent", nats_url=guarded.nats_url) as rival,
    ):
        async with holder.lease(CONTACT):
            with pytest.raises(LeaseConflict):
                async with rival.lease(CONTACT):
                    pass
        heard = set()
        async for notification in rival.notifications():
            heard.add(notification.name)
            if notification.name == "lease_available":
                break
    assert "lease_conflict" in heard


def test_the_doctor_finds_everything_well(guarded: Guarded) -> None:
    examined = guarded.cli("doctor", "--nats-url", guarded.nats_url, "--no-json")

    assert examined.returncode == 0, examined.stdout
    assert f"{guarded.nats_url} lets us in" in examined.stdout
    assert "the stream's first bytes come through" in examined.stdout


def test_what_is_told_of_all_tenants_together_is_not_handed_out(guarded: Guarded) -> None:
    trusting = ssl.create_default_context(cafile=guarded.variables["SSL_CERT_FILE"])

    assert httpx2.get(f"{guarded.url}/livez", verify=trusting).status_code == 200
    assert httpx2.get(f"{guarded.url}/metrics", verify=trusting).status_code == 404


def test_whoever_does_not_know_the_authority_sends_no_key(guarded: Guarded, tmp_path: Path) -> None:
    another = Certificates(tmp_path / "another")
    unaware = {"SSL_CERT_FILE": str(another.ca), "SSL_CERT_DIR": os.devnull}

    asked = guarded.cli("agents", "list", "--no-json", **unaware)
    examined = guarded.cli("doctor", "--nats-url", guarded.nats_url, "--no-json", **unaware)

    assert asked.returncode == 6
    assert "CERTIFICATE_VERIFY_FAILED" in asked.stderr
    assert examined.returncode != 0
