"""The AsyncAPI document is valid for the reference parser, ``@asyncapi/parser``."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

from quorate.api.documents import asyncapi_document
from tests.integration.api.generators import find_node_package, find_program, run, write_document

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


def parse(document: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return what the parser finds, or skip the test if the parser is not installed."""
    packages = find_node_package("@asyncapi/parser")
    path = write_document(folder, document)
    node = find_program("node")
    done = run(node, "-e", SCRIPT, path, folder=folder, NODE_PATH=str(packages))
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_document_is_valid(tmp_path: Path) -> None:
    assert parse(asyncapi_document(), tmp_path) == {"isParsed": True, "found": []}


def test_document_with_a_missing_schema_is_refused(tmp_path: Path) -> None:
    broken = deepcopy(asyncapi_document())
    del broken["components"]["schemas"]["LeaseInfo"]

    result = parse(broken, tmp_path)

    assert not result["isParsed"]
    assert any("LeaseInfo" in problem for problem in result["found"])
