"""What a bundle may hold, looked at before anything in it is loaded: no code, no pickle, nothing unlisted."""

from __future__ import annotations

import zipfile
from pathlib import Path

from loquela.artifacts.bundle import Bundle, open_bundle
from loquela.artifacts.manifest import MANIFEST_NAME
from loquela.core.errors import DataError, ErrorCode, LoquelaError
from loquela.recipe.deploy_section import DeployLimits

MEBIBYTE = 2**20
CODE_SUFFIXES = frozenset({".py", ".pyc", ".pyd", ".so", ".dll", ".dylib", ".sh"})
PICKLE_SUFFIXES = frozenset({".pkl", ".pickle", ".pth", ".ckpt"})
# Protocols 2 to 5 begin with this and their number; torch.save writes a zip with a member of this name.
PICKLE_START = b"\x80"
PICKLE_PROTOCOLS = range(2, 6)
PICKLE_MEMBER = "/data.pkl"


def proven_bundle(directory: Path, limits: DeployLimits) -> Bundle:
    """The bundle in `directory`: every file proven, none that could run by being loaded, golden prompts in range.

    Raises DataError: DATASET_NOT_FOUND, CORRUPTION, or COMPATIBILITY_ERROR for what cannot be run here at all.
    """
    bundle = open_bundle(directory)
    _check_files(bundle)
    _check_golden(bundle)
    size = size_mb(bundle)
    if size >= limits.memory_mb:
        raise _unfit(
            bundle,
            f"its files have {size:.0f} MB, deploy.limits.memory_mb allows the process {limits.memory_mb}",
            "raise deploy.limits.memory_mb, or export a smaller model",
        )
    return bundle


def size_mb(bundle: Bundle) -> float:
    """All files of the manifest, in mebibytes."""
    return sum(record.size_bytes for record in bundle.manifest.files) / MEBIBYTE


def _check_files(bundle: Bundle) -> None:
    directory = bundle.directory
    listed = {record.path for record in bundle.manifest.files}
    for path in sorted(directory.rglob("*")):
        name = path.relative_to(directory).as_posix()
        if path.is_symlink():
            raise _unfit(bundle, f"{name} is a link: what it leads to may change", "export the model again")
        if not path.is_file() or path.name == MANIFEST_NAME:
            continue
        if name not in listed:
            raise _unfit(bundle, f"{name} was put there after the export", f"move {name} elsewhere")
        torchscript = bundle.facts.format == "torchscript" and name == bundle.facts.model_file
        if not torchscript and (danger := _danger(path)) is not None:
            raise _unfit(
                bundle, f"{name} is {danger}, which can do anything when it is loaded", "export the model again"
            )


def _danger(path: Path) -> str | None:
    if path.suffix.lower() in CODE_SUFFIXES:
        return "code"
    if path.suffix.lower() in PICKLE_SUFFIXES:
        return "a pickle"
    with path.open("rb") as stream:
        head = stream.read(2)
    if head[:1] == PICKLE_START and head[1:] and head[1] in PICKLE_PROTOCOLS:
        return "a pickle"
    if head == b"PK" and zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if any(("/" + name).endswith(PICKLE_MEMBER) for name in archive.namelist()):
                return "a pickle"
    return None


def _check_golden(bundle: Bundle) -> None:
    facts = bundle.facts
    if not any(golden.continuation_ids for golden in facts.golden):
        raise _unfit(
            bundle, "it has no golden prompts, so that nothing proves what it writes", "export the model again"
        )
    for index, golden in enumerate(facts.golden):
        wrong = [token for token in (*golden.prompt_ids, *golden.continuation_ids) if not 0 <= token < facts.vocab_size]
        if wrong:
            raise _unfit(
                bundle,
                f"golden prompt {index} holds the token {wrong[0]}, the vocabulary has {facts.vocab_size}",
                "export the model again",
            )
        if len(golden.prompt_ids) + len(golden.continuation_ids) > facts.context and facts.family == "transformer":
            raise _unfit(
                bundle,
                f"golden prompt {index} and its continuation have "
                f"{len(golden.prompt_ids) + len(golden.continuation_ids)} tokens, the context only {facts.context}",
                "export the model again",
            )


def _unfit(bundle: Bundle, why: str, remedy: str) -> LoquelaError:
    return DataError(
        ErrorCode.COMPATIBILITY_ERROR,
        f"the bundle {bundle.directory} is not run: {why}",
        remedy,
        details={"path": str(bundle.directory)},
    )
