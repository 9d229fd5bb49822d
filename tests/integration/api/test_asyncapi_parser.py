"""The AsyncAPI document is valid for the reference parser, ``@asyncapi/parser``."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from quorate.api.documents import asyncapi_document
from tests.support.paths import ROOT

# Prints the problems with the severities "error" (0) and "warning" (1).
SCRIPT = """
const { Parser } = require("@asyncapi/parser");
const text = require("fs").readFileSync(process.argv[1], "utf8");
new Parser().parse(text).then(({ document, diagnostics }) => {
  const found = diagnostics.filter((one) => one.severity < 2);
  const shown = found.map((one) => `${one.path.join("/")}: ${one.message}`);
  console.log(JSON.stringify({ isParsed: document !== undefined, found: shown }));
});
"""


def has_parser() -> bool:
    node = shutil.which("node")
    if node is None:
        return False
    command = [node, "-e", 'require.resolve("@asyncapi/parser")']
    return subprocess.run(command, cwd=ROOT, capture_output=True, check=False).returncode == 0


def test_document_is_valid(tmp_path: Path) -> None:
    if not has_parser():
        pytest.skip("needs node and @asyncapi/parser, in node_modules or on NODE_PATH")
    path = tmp_path / "asyncapi.json"
    path.write_text(json.dumps(asyncapi_document()))

    done = subprocess.run(
        ["node", "-e", SCRIPT, str(path)], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert json.loads(done.stdout) == {"isParsed": True, "found": []}
