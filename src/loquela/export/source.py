"""The trained model that is exported: where it lies, where its tokenizer is, what proves it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from loquela.artifacts.adapter import is_adapter
from loquela.artifacts.bundle import EXPORTS_FOLDER
from loquela.artifacts.manifest import MANIFEST_NAME, FileRecord, verify
from loquela.core.digests import digest_file, digest_json
from loquela.core.errors import DataError, ErrorCode
from loquela.inference.open import model_folder, tokenizer_folder

# Folders that a run writes models to: each has a manifest, or is not whole.
OF_A_RUN = ("best", "final", "checkpoints", "adapter", "merged", "final_artifact")
TUNED = ("adapter", "merged", "final_artifact")


@dataclass(frozen=True)
class ModelSource:
    """A model folder, its tokenizer's folder, and the digest of its manifest (of its files, where it has none)."""

    model: Path
    tokenizer: Path
    digest: str

    @property
    def run(self) -> Path | None:
        """The run that the model lies in, if it does."""
        parent = self.model.parent
        if self.model.name in TUNED and (parent / MANIFEST_NAME).is_file():
            return parent
        return next((place for place in (parent, parent.parent) if (place / "tokenizer").is_dir()), None)

    @property
    def role(self) -> str:
        """What it is to the bundle that is made of it: an adapter, else a checkpoint."""
        return "adapter" if is_adapter(self.model) else "checkpoint"

    @property
    def exports(self) -> Path:
        """The folder that exports go to where no other is asked for."""
        return self.model.parent / f"{self.model.name}-exports" if self.run is None else self.run / EXPORTS_FOLDER

    @property
    def name(self) -> str:
        """How people know it: run/final, or the folder's name."""
        if self.run is None:
            return self.model.name
        return f"{self.run.name}/{self.model.relative_to(self.run).as_posix()}"


def find_model(path: Path) -> ModelSource:
    """The model that `path` stands for (a run, a checkpoint, a model folder), every file proven by its manifest.

    A folder from elsewhere may have no manifest; one that a run wrote must. Raises DataError: DATA_NOT_FOUND,
    DATASET_NOT_FOUND, CORRUPTION.
    """
    folder = model_folder(path.expanduser().absolute())
    if (folder / MANIFEST_NAME).is_file():
        digest = verify(folder).digest
    elif folder.name in OF_A_RUN or folder.parent.name in OF_A_RUN:
        raise DataError(
            ErrorCode.DATASET_NOT_FOUND,
            f"{folder} has no {MANIFEST_NAME}, so nothing says that it is whole",
            "export another checkpoint of the run, or let the run write it again with --resume auto",
        )
    else:
        digest = _digest_of(folder)
    return ModelSource(folder, tokenizer_folder(folder), digest)


def _digest_of(folder: Path) -> str:
    records = [
        FileRecord(path=path.name, size_bytes=path.stat().st_size, sha256=digest_file(path))
        for path in sorted(folder.iterdir())
        if path.is_file()
    ]
    return digest_json([record.model_dump(mode="json") for record in records])
