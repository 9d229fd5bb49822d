"""The reference page of the NATS API: AsyncAPI's component, with files of this package only.

* FastStream's page loads its scripts and icons from other hosts and contains inline scripts. This
  page therefore has its own HTML, and its policy permits files of the service only.
* The policy permits neither inline scripts nor ``eval`` (api/static/asyncapi/no-eval.js).
"""

ASSETS_PATH = "/static/asyncapi/"
# The files that the page loads, in this order.
ASSETS = ("asyncapi.css", "no-eval.js", "asyncapi.js", "page.js")
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
