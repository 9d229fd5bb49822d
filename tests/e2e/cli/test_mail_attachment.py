"""`quorate mail attachment` writes a file that a person sent."""

from pathlib import Path

import httpx2

from quorate.cli.output.errors import exit_code_of
from tests.e2e.cli.terminal import Terminal
from tests.e2e.service.service_process import ServiceProcess

BOB = ("--agent-name", "bob")
KIM = "kim@example.com"


def test_attachment_is_written_to_the_named_file_only(
    tenant: Terminal, real: ServiceProcess, tmp_path: Path
) -> None:
    address = tenant.run_quiet("mail", "account", *BOB)
    raw = (
        f'From: {KIM}\r\nTo: {address}\r\nContent-Type: text/csv; name="../../prices.csv"\r\n'
        "Content-Disposition: attachment\r\n\r\na,b\r\n"
    )
    key = tenant.run_quiet("keys", "issue", "--role", "mail")
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "message/rfc822"}
    received = httpx2.post(f"{real.url}/email/inbound", content=raw, headers=headers)
    assert received.json()["accepted"] == [address]
    (message,) = tenant.run_json("mail", "inbox", *BOB)["messages"]
    short, target = message["message_id"][-8:], tmp_path / "out.csv"

    shown = tenant.run("mail", "read", short, *BOB).stdout
    result = tenant.run("mail", "attachment", short, "1", "-o", str(target), *BOB)
    piped = tenant.run("mail", "attachment", short, "1", "-o", "-", *BOB)
    missing = tenant.run("mail", "attachment", short, "2", "-o", str(tmp_path / "x"), *BOB)
    unwritable = tenant.run("mail", "attachment", short, "1", "-o", str(tmp_path), *BOB)

    assert "1 prices.csv (text/csv, " in shown
    assert result.exit_code == 0, result.stderr
    assert target.read_bytes().strip() == piped.stdout_bytes.strip() == b"a,b"
    assert [one.name for one in tmp_path.iterdir()] == ["out.csv"]
    assert missing.exit_code == exit_code_of("attachment_not_found")
    assert unwritable.exit_code == 1
    assert "Cannot write" in unwritable.stderr
