"""What the image is made of: every package pinned by version and digest, as everybody else has them, and listed."""

import json
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

HOME = Path(__file__).parents[2]
DEPLOY = HOME / "deploy"
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
ENTRY = re.compile(r"([A-Za-z0-9._-]+)==([^ ]+) \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)")


def locked(name: str) -> dict[str, str]:
    """Package → version; the file holds nothing but entries with digests."""
    text = (DEPLOY / name).read_text()
    assert ENTRY.sub("", text) == ""
    return {canonicalize_name(found[1]): found[2] for found in ENTRY.finditer(text)}


def extras_of_the_image() -> list[str]:
    found = re.search(r'^EXTRAS="([a-z ]+)"$', (DEPLOY / "lock.sh").read_text(), re.MULTILINE)
    return found[1].split()


def test_the_pins_are_those_that_everything_is_tested_with():
    pins = dict(line.split("==") for line in (HOME / "constraints.txt").read_text().splitlines() if "==" in line)
    known = {canonicalize_name(name): version.partition(" ")[0] for name, version in pins.items()}
    every = locked("requirements.lock") | locked("torch-cuda.lock")
    assert len(every) > 150
    assert {name: known[name] for name in every if name in known} == {
        name: version for name, version in every.items() if name in known
    }


def test_all_that_the_project_asks_for_is_locked_and_fits():
    project = tomllib.loads((HOME / "pyproject.toml").read_text())
    wanted = [*project["project"]["dependencies"], *project["build-system"]["requires"]]
    for extra in extras_of_the_image():
        wanted += project["project"]["optional-dependencies"][extra]
    every = locked("requirements.lock") | locked("torch-cuda.lock")
    for text in wanted:
        asked = Requirement(text)
        if asked.name != "loquela" and (asked.marker is None or asked.marker.evaluate({"sys_platform": "linux"})):
            assert asked.specifier.contains(every[canonicalize_name(asked.name)]), (
                f"{text} is not what deploy/*.lock holds: run deploy/lock.sh"
            )


def test_the_two_files_hold_different_packages_and_the_image_installs_both_by_digest():
    assert not locked("requirements.lock").keys() & locked("torch-cuda.lock").keys()
    installs = re.findall(r"pip install ([^;&\n]+)", DOCKERFILE)
    assert len(installs) == 4
    for line in installs:
        assert "--no-deps" in line
        by_digest = "--require-hashes" in line and "--only-binary :all:" in line
        own, torch = line.split()[-1] == ".", "--constraint constraints.txt --index-url" in line
        assert by_digest or own or torch, line
    assert "--no-build-isolation ." in DOCKERFILE


def test_the_image_lists_what_is_in_it():
    done = subprocess.run([sys.executable, str(DEPLOY / "sbom.py")], capture_output=True, text=True, check=True)
    told = json.loads(done.stdout)
    assert (told["bomFormat"], told["specVersion"]) == ("CycloneDX", "1.6")
    assert told["metadata"]["component"]["name"] == "loquela"
    parts = {each["name"].lower(): each for each in told["components"]}
    assert parts["fastapi"]["version"] == metadata.version("fastapi")
    assert parts["fastapi"]["purl"] == f"pkg:pypi/fastapi@{metadata.version('fastapi')}"
    references = [each["bom-ref"] for each in told["components"]]
    assert references == sorted(set(references)) and "pkg:pypi/loquela@" not in "".join(references)
    assert "+" not in parts["torch"]["purl"]
    assert "sbom.py > /opt/loquela/sbom.cdx.json" in DOCKERFILE
