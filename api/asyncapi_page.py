"""The reference page of the NATS API: AsyncAPI's component, with files of this package only.

* FastStream's page loads its scripts and icons from other hosts and contains inline scripts. This
  page therefore has its own HTML, and its policy permits files of the service only.
* The policy permits neither inline scripts nor ``eval`` (api/static/asyncapi/no-eval.js).
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent / "static" / "asyncapi"
ASSETS_PATH = "/asyncapi/assets/"
# The files that the page loads, and their media types.
ASSETS: Mapping[str, bytes] = {
    "asyncapi.css": b"text/css; charset=utf-8",
    "no-eval.js": b"text/javascript; charset=utf-8",
    "asyncapi.js": b"text/javascript; charset=utf-8",
    "page.js": b"text/javascript; charset=utf-8",
}
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Quorate over NATS</title>
{styles}
</head>
<body>
<noscript>This page needs JavaScript. See <a href="/asyncapi.json">/asyncapi.json</a>.
</noscript>
<p><a href="/asyncapi.json">/asyncapi.json</a> <a href="/docs">HTTP API</a></p>
<div id="asyncapi"></div>
{scripts}
</body>
</html>
"""


def asyncapi_page() -> bytes:
    paths = [ASSETS_PATH + name for name in ASSETS]
    styles = [f'<link rel="stylesheet" href="{one}">' for one in paths if one.endswith(".css")]
    scripts = [f'<script src="{one}"></script>' for one in paths if one.endswith(".js")]
    return _PAGE.format(styles="\n".join(styles), scripts="\n".join(scripts)).encode()


@cache
def asset(name: str) -> bytes:
    """Return a file of the page; ``name`` is a key of ``ASSETS``."""
    return (FOLDER / name).read_bytes()
