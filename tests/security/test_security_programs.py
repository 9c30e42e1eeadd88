"""What the whole source leaves out: shells, pickles, code from text, spreadsheets' formulas, scripts for browsers."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import loquela

SOURCE = Path(loquela.__file__).parent
# Module → what of it nobody calls. A list of words is all that a program is ever started with.
NEVER = {
    "os": {"system", "popen", "execl", "execle", "execlp", "execlpe", "execv", "execve", "execvp", "execvpe",
           "spawnl", "spawnle", "spawnlp", "spawnlpe", "spawnv", "spawnve", "spawnvp", "spawnvpe", "posix_spawn"},
    "subprocess": {"getoutput", "getstatusoutput"},
    "asyncio": {"create_subprocess_shell"},
    "yaml": {"load", "full_load", "unsafe_load", "load_all", "full_load_all", "unsafe_load_all"},
    "torch": {"load"},
    "tarfile": {"extract", "extractall"},
    "csv": {"writer", "DictWriter", "write_csv"},
}  # fmt: skip
MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "marshal", "shelve", "commands", "pty", "telnetlib"}
BUILT_IN = {"eval", "exec", "compile", "__import__"}
STARTERS = {"Popen", "run", "call", "check_call", "check_output"}


def trees() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(SOURCE.rglob("*.py")):
        yield path.relative_to(SOURCE).as_posix(), ast.parse(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def calls() -> list[tuple[str, ast.Call]]:
    return [(name, node) for name, tree in trees() for node in ast.walk(tree) if isinstance(node, ast.Call)]


def test_nothing_is_called_that_runs_text_or_builds_objects(calls) -> None:
    found = []
    for name, call in calls:
        match call.func:
            case ast.Attribute(value=ast.Name(id=module), attr=word) if word in NEVER.get(module, ()):
                found.append((name, call.lineno, f"{module}.{word}"))
            case ast.Attribute(attr="extractall"):
                found.append((name, call.lineno, "extractall"))
            case ast.Name(id=word) if word in BUILT_IN:
                found.append((name, call.lineno, word))
    assert found == []


def test_no_module_that_builds_objects_is_imported() -> None:
    imported = set()
    for name, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                imported |= {(name, each.name.partition(".")[0]) for each in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                imported.add((name, str(node.module).partition(".")[0]))
    assert [each for each in sorted(imported) if each[1] in MODULES] == []


def test_every_program_is_started_with_a_list_and_without_a_shell(calls) -> None:
    started = 0
    for name, call in calls:
        match call.func:
            case ast.Attribute(value=ast.Name(id="subprocess"), attr=word) if word in STARTERS:
                started += 1
                assert "shell" not in {each.arg for each in call.keywords}, (name, call.lineno)
                # A text would be one program's name with everything in it.
                assert not isinstance(call.args[0], ast.Constant | ast.JoinedStr | ast.BinOp), (name, call.lineno)
    assert started >= 10


def test_there_is_no_page_script_or_picture_that_a_browser_would_run() -> None:
    """Nothing of others is shipped, so that there is nothing to pin; and no answer is HTML."""
    assert [path.name for path in SOURCE.rglob("*") if path.suffix in {".js", ".mjs", ".css", ".html", ".svg"}] == []
    service = "".join(path.read_text() for path in (SOURCE / "service").rglob("*.py"))
    assert "HTMLResponse" not in service and "text/html" not in service
