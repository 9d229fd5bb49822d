"""`quorate doctor` reports the proxies and certificates of the environment."""

from tests.e2e.cli.test_doctor import run_doctor
from tests.e2e.service.service_process import ServiceProcess


def test_doctor_reports_proxies(real: ServiceProcess, home: dict[str, str]) -> None:
    proxy = {"HTTPS_PROXY": "http://127.0.0.1:1", "HTTP_PROXY": "http://127.0.0.1:1"}
    local, _ = run_doctor("--data-dir", str(real.data_dir), **home, **proxy)
    remote = {"QUORATE_URL": "http://quorate.example", "QUORATE_API_KEY": "qk_x"}
    other, outcome = run_doctor(**home, **proxy, **remote)

    assert local["proxy"]["outcome"] == local["address"]["outcome"] == "ok"
    assert "not used for a service on this machine" in local["proxy"]["says"]
    assert (other["proxy"]["outcome"], outcome.code) == ("warning", 6)
    assert "HTTPS_PROXY and HTTP_PROXY" in other["proxy"]["says"]


def test_doctor_names_a_missing_certificate_file(home: dict[str, str]) -> None:
    remote = {"QUORATE_URL": "https://quorate.example", "QUORATE_API_KEY": "qk_x"}

    found, outcome = run_doctor(**home, **remote, SSL_CERT_FILE="/no/such/file")

    assert outcome.code == 2
    assert "SSL_CERT_FILE cannot be used: /no/such/file" in found["proxy"]["says"]
