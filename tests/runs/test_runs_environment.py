"""What a run was made with is recorded; where it cannot be known, that is recorded too."""

import os
import subprocess
from pathlib import Path

from loquela.runs import environment


def test_versions_and_hardware_are_facts() -> None:
    versions = environment.versions()
    assert versions["python"] == ".".join(str(part) for part in os.sys.version_info[:3])
    assert set(environment.PACKAGES) < set(versions)
    assert all(versions[name] for name in ("torch", "numpy", "pydantic"))
    hardware = environment.hardware()
    assert hardware["cores_usable"] == len(os.sched_getaffinity(0))
    assert isinstance(hardware["memory_mb"], int)
    assert hardware["memory_mb"] > 100
    assert environment.processor_name()


def test_no_environment_variable_is_recorded(monkeypatch) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "s3cr3t-value")
    assert "s3cr3t-value" not in str([environment.versions(), environment.hardware()])


def test_a_package_that_is_not_there_is_null(monkeypatch) -> None:
    monkeypatch.setattr(environment, "PACKAGES", ("no-such-package-here",))
    assert environment.versions()["no-such-package-here"] is None


def test_the_revision_of_a_repository_and_of_none(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert environment.git_revision(tmp_path) == {}
    who = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    (tmp_path / "a.txt").write_text("one")
    for command in (("init", "-q"), ("add", "a.txt"), (*who, "commit", "-q", "-m", "first")):
        subprocess.run(["git", "-C", str(tmp_path), *command], check=True)
    clean = environment.git_revision(tmp_path)
    assert len(str(clean["commit"])) == 40
    assert clean["dirty"] is False
    (tmp_path / "a.txt").write_text("two")
    assert environment.git_revision(tmp_path) == {**clean, "dirty": True}


def test_without_git_there_is_no_revision(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert environment.git_revision(Path.cwd()) == {}
