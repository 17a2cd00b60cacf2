"""Makes locales/en/nodeDefs.json from the nodes: ``python -m mvgen.workflows.locale``, after any change of their words.

A development tool. The page takes English from the nodes themselves all the same; the file is what a translator copies
to locales/LANGUAGE, and what the page falls back to where a translation has a gap.
"""

import json
import re
import tempfile
from pathlib import Path
from typing import Any

from ..tests.host.hosting import ROOT, running

FILE = ROOT / "locales" / "en" / "nodeDefs.json"
SYNTAX = re.compile(r"[{}@|]")


def texts(**given: str | None) -> dict[str, str]:
    """Those that there are and that the page's message compiler takes as they are.

    It gives these signs a meaning (vue-i18n: interpolation, links, plurals). What is left out is shown as the node
    says it.
    """
    return {name: text for name, text in given.items() if text and not SYNTAX.search(text)}


def key(name: str) -> str:
    return name.replace(".", "_")  # as the page looks it up


def node_texts(node: dict[str, Any]) -> dict[str, Any]:
    """A node of the host's ``/object_info`` as an entry of nodeDefs.json."""
    inputs = {
        key(name): texts(name=spec[1].get("display_name") or name, tooltip=spec[1].get("tooltip"))
        for kind in ("required", "optional")
        for name, spec in node["input"].get(kind, {}).items()
    }
    outputs = {
        str(n): texts(name=name, tooltip=tooltip)
        for n, (name, tooltip) in enumerate(zip(node["output_name"], node["output_tooltips"], strict=True))
    }
    named = texts(display_name=node["display_name"], description=node["description"])
    return {**named, "inputs": inputs, "outputs": outputs}


def write(definitions: dict[str, dict]) -> str:
    """The file's text. Nodes that only an expansion makes are not in it: no one sees them."""
    ours = {
        name: node_texts(node)
        for name, node in sorted(definitions.items())
        if name.startswith("MVG_") and not node["dev_only"]
    }
    return json.dumps(ours, indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, running(Path(folder) / "base") as server:
        text = write(server.get("/object_info"))
    FILE.parent.mkdir(parents=True, exist_ok=True)
    FILE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
