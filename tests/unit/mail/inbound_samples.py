"""Messages as mail servers deliver them, for tests."""

from textwrap import dedent


def lines(text: str) -> bytes:
    """Return an indented text as a message with CRLF line ends."""
    return dedent(text).lstrip("\n").replace("\n", "\r\n").encode()


ADDRESSED = b"From: Ann <ann@example.org>\r\nTo: scout@agents.test\r\n"

REPLY = lines("""
    Return-Path: <ann@example.org>
    Delivered-To: scout@agents.test
    Received: from mx.example.org by relay.test; Sun, 29 Nov 2026 19:00:00 +0000
    From: =?utf-8?q?Ann_M=C3=BCller?= <Ann@Example.ORG>
    To: "Scout, the agent" <scout@agents.test>, Team: bob@example.org, eve@b\u00fccher.example;
    Cc: <carol@example.org>, <carol@example.org>
    Subject: =?utf-8?b?UmU6IEdyw7w=?= =?utf-8?b?w59l?= and
     more
    Message-ID: <reply-1@example.org>
    In-Reply-To: <msg_1@agents.test>
    References: <root@example.org>
     <msg_1@agents.test>
    MIME-Version: 1.0
    Content-Type: multipart/mixed; boundary="outer"

    This is a message in MIME format.
    --outer
    Content-Type: multipart/alternative; boundary="inner"

    --inner
    Content-Type: text/plain; charset=iso-8859-1
    Content-Transfer-Encoding: quoted-printable

    Sch=F6ne Gr=FC=DFe
    --inner
    Content-Type: text/html; charset=utf-8
    Content-Transfer-Encoding: base64

    PHA+U2Now7ZuZTwvcD4=
    --inner--
    --outer
    Content-Type: application/pdf; name="ignored.pdf"
    Content-Disposition: attachment; filename*=utf-8''..%2F..%2Fb%C3%A9richt.pdf
    Content-Transfer-Encoding: base64

    JVBERg==
    --outer
    Content-Type: message/rfc822

    Subject: inside

    From inside
    --outer--
    After the last part.
    """)

BOUNCE = lines("""
    Return-Path: <>
    From: MAILER-DAEMON@mx.example.org
    To: scout@agents.test
    Subject: Undelivered Mail Returned to Sender
    Auto-Submitted: auto-replied
    MIME-Version: 1.0
    Content-Type: multipart/report; report-type=delivery-status;
     boundary="4F2A/mx.example.org"

    --4F2A/mx.example.org
    Content-Type: text/plain; charset=us-ascii

    I'm sorry to have to inform you that your message could not be delivered.

    --4F2A/mx.example.org
    Content-Type: message/delivery-status

    Reporting-MTA: dns; mx.example.org
    Arrival-Date: Sun, 29 Nov 2026 19:00:00 +0000

    Final-Recipient: rfc822; person@mx.example.org
    Original-Recipient: rfc822;person@example.org
    Action: failed
    Status: 5.1.1
    Diagnostic-Code: smtp; 550 5.1.1 <person@example.org>:
        Recipient address rejected

    Final-Recipient: rfc822; slow@example.org
    Action: delayed
    Status: 4.4.1

    --4F2A/mx.example.org
    Content-Type: message/rfc822

    From: scout@agents.test
    To: person@example.org
    Subject: Hello
    Message-ID: <msg_1@agents.test>

    Hello
    --4F2A/mx.example.org--
    """)

COMPLAINT = lines("""
    From: abuse@provider.example
    To: postmaster@agents.test
    Subject: FW: Earn money
    MIME-Version: 1.0
    Content-Type: multipart/report; report-type=feedback-report; boundary=part

    --part
    Content-Type: text/plain

    This is an email abuse report.
    --part
    Content-Type: message/feedback-report

    Feedback-Type: abuse
    User-Agent: SomeGenerator/1.0
    Version: 1
    Original-Rcpt-To: <user@provider.example>

    --part
    Content-Type: text/rfc822-headers

    From: scout@agents.test
    Message-ID: <msg_2@agents.test>
    --part--
    """)
