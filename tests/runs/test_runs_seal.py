"""The seal vouches for every record of a run, and for itself."""

from pathlib import Path

import pytest

from loquela.runs.seal import break_seal, prove_seal, write_seal


@pytest.fixture
def run(tmp_path: Path) -> Path:
    directory = tmp_path / "a run"
    (directory / "logs").mkdir(parents=True)
    for name in ("recipe.yaml", "status.json", "events.jsonl", "logs/system.log"):
        (directory / name).write_text(f"content of {name}\n")
    (directory / "run.lock").write_text("pid 1")
    (directory / "final").mkdir()
    (directory / "final" / "model.safetensors").write_bytes(b"its own manifest vouches for it")
    write_seal(directory)
    return directory


def failed(run: Path) -> list[str]:
    return [proof.name for proof in prove_seal(run) if not proof.passed]


def test_untouched_it_holds(run: Path) -> None:
    (run / "run.lock").write_text("")
    (proof,) = prove_seal(run)
    assert proof.passed
    assert proof.message == "4 of 4 records as they were when the run ended"


@pytest.mark.parametrize("name", ["recipe.yaml", "status.json", "events.jsonl", "logs/system.log"])
def test_a_changed_longer_or_missing_record_is_named(run: Path, name: str) -> None:
    whole = (run / name).read_bytes()
    for data in (b"K" + whole[1:], whole + b"x", whole[:-1]):
        (run / name).write_bytes(data)
        assert failed(run) == ["seal", name]
    (run / name).unlink()
    assert failed(run) == ["seal", name]
    (run / name).write_bytes(whole)
    assert failed(run) == []


def test_a_changed_seal_is_found(run: Path) -> None:
    path = run / "seal.json"
    text = path.read_text()
    path.write_text(text.replace('"size_bytes": 2', '"size_bytes": 3', 1))
    assert prove_seal(run)[0].message == "seal.json is not as it was written, its own digest says"
    path.write_text(text[:-5])
    assert prove_seal(run)[0].message == "seal.json cannot be read as the seal of a run"


def test_broken_it_says_nothing(run: Path) -> None:
    break_seal(run)
    break_seal(run)
    assert prove_seal(run) == []
