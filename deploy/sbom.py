"""What is installed here, as a CycloneDX 1.6 document on stdout: `python deploy/sbom.py > sbom.cdx.json`."""

from __future__ import annotations

import json
import re
import sys
from importlib import metadata
from urllib.parse import quote


def purl(name: str, version: str) -> str:
    """The package's address (purl-spec, type pypi)."""
    return f"pkg:pypi/{re.sub(r'[-_.]+', '-', name).lower()}@{quote(version, safe='')}"


def component(found: metadata.Distribution, kind: str = "library") -> dict[str, object]:
    """One installed package."""
    told = found.metadata
    name, version = told["Name"], told["Version"]
    made: dict[str, object] = {"type": kind, "bom-ref": purl(name, version), "name": name, "version": version}
    if expression := told.get("License-Expression"):
        made["licenses"] = [{"expression": expression}]
    return {**made, "purl": purl(name, version)}


def document() -> dict[str, object]:
    """All of them, sorted; the same installation gives the same bytes."""
    parts = {str(each["purl"]): each for each in map(component, metadata.distributions())}
    own = component(metadata.distribution("loquela"), "application")
    parts.pop(str(own["purl"]))
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": own},
        "components": [parts[key] for key in sorted(parts)],
    }


if __name__ == "__main__":
    json.dump(document(), sys.stdout, indent=1)
    sys.stdout.write("\n")
