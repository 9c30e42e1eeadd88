"""What README and the guide tell people to type works as written, in order, in an empty folder."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from loquela.cli.main import answer

ROOT = Path(__file__).parents[2]
PAGES = (
    ROOT / "README.md",
    ROOT / "docs" / "getting-started.md",
    ROOT / "docs" / "data.md",
    ROOT / "docs" / "deployment.md",
    ROOT / "docs" / "documents.md",
    ROOT / "docs" / "duplicates-and-splits.md",
    ROOT / "docs" / "export.md",
    ROOT / "docs" / "qa.md",
    ROOT / "docs" / "reading.md",
)
FENCE = re.compile(r"^```(sh|python|yaml)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# A recipe of the same keys, small enough for a test: the pages' own commands, on a model that trains in seconds.
SMALL = {
    "LOQUELA__DATA__STORIES": "20",
    "LOQUELA__TOKENIZER__VOCAB_SIZE": "400",
    "LOQUELA__TOKENIZER__METHOD": "bpe",
    "LOQUELA__MODEL__D_MODEL": "32",
    "LOQUELA__MODEL__MAX_SEQUENCE_LENGTH": "32",
    "LOQUELA__TRAIN__MAX_STEPS": "12",
    "LOQUELA__TRAIN__EPOCHS": "2",
    "LOQUELA__EVALUATE__SAMPLE_TOKENS": "8",
    "OMP_NUM_THREADS": "1",
}


def blocks(page: Path) -> list[tuple[str, str, str]]:
    return [(kind, info.strip(), body) for kind, info, body in FENCE.findall(page.read_text(encoding="utf-8"))]


def commands(body: str) -> list[str]:
    """The `loquela …` lines of a shell block; comments, prompts' output and `make` are left to people."""
    joined = body.replace("\\\n", " ")
    return [line.partition("  #")[0].strip() for line in joined.splitlines() if line.startswith("loquela ")]


def as_a_program(command: list[str], home: Path) -> tuple[int, str]:
    """What is typed, in a process of its own: its exit code and what it said."""
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True, check=False, timeout=600)
    return done.returncode, f"{done.stdout[-2000:]}\n{done.stderr[-3000:]}"


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_example_of_the_page_runs(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """README's commands as programs; those of the guide in this process, where torch is loaded once."""
    for name, value in SMALL.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    done_anything = False
    for kind, info, body in blocks(page):
        if kind == "yaml" and info:
            (tmp_path / info).write_text(body, encoding="utf-8")
        runs = [shlex.split(line) for line in commands(body)] if kind == "sh" else []
        if kind == "python":
            runs = [[sys.executable, "-c", body]]
        for command in runs:
            if kind == "python" or page.name == "README.md":
                code, said = as_a_program(command, tmp_path)
            else:
                code, said = answer(command[1:]), "\n".join(capsys.readouterr())[-5000:]
            assert code == 0, f"{page.name}: {body if kind == 'python' else shlex.join(command)}\n{said}"
            done_anything = True
    assert done_anything, f"{page.name} shows no example at all"


@pytest.mark.parametrize("page", sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]), ids=lambda page: page.name)
def test_links_inside_the_project_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text)
    local = [target for target in targets if "://" not in target and not target.startswith("mailto:")]
    missing = [target for target in local if not (page.parent / target).exists()]
    assert not missing
