"""The artifact "base": which pretrained model a fine-tuning starts from, file by file, and where its files lie.

<artifact>/base.json [+ converted files]        location "." = the files lie beside base.json, else elsewhere;
                                                "" = unsaid, as in what is handed on: then in `base` beside the folder
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field, JsonValue, ValidationError

from loquela.core.atomic import write_json
from loquela.core.digests import digest_file, digest_json
from loquela.core.errors import DataError, ErrorCode
from loquela.core.model import BoundaryModel

KIND = "base"
BASE_NAME = "base.json"
HERE, UNSAID = ".", ""

BaseKind = Literal["folder", "gguf", "package", "hub"]


class BaseFile(BoundaryModel):
    """Size in bytes and SHA-256 of one file of a base."""

    size: int = Field(ge=0)
    sha256: str


class BaseIdentity(BoundaryModel):
    """What a base is, wherever it lies; `digest` is the SHA-256 of what decides its outputs: shape and files."""

    format_version: int = 1
    source: str = Field(description="as the recipe has it")
    kind: BaseKind
    revision: str | None = Field(None, description="commit on the hub")
    location: str = Field(description="folder of the files; '.': beside this record; empty: unsaid")
    architecture: str = Field(description="class in transformers")
    model_type: str
    parameters: int = Field(ge=1, description="numbers in the weights; tied ones count once")
    vocab_size: int = Field(ge=1, description="rows of the embedding")
    tokenizer_size: int = Field(ge=1, description="ids of the tokenizer are below it")
    context: int = Field(ge=1, description="longest sequence, tokens")
    tied: bool = Field(description="the output matrix is the embedding")
    eos_ids: list[int] = Field(min_length=1, description="tokens with which it stops")
    files: dict[str, BaseFile]
    digest: str = ""

    def content_digest(self) -> str:
        """What `digest` must be: neither the place nor the way here is part of it."""
        content: dict[str, JsonValue] = self.model_dump(
            mode="json", exclude={"source", "kind", "revision", "location", "digest"}
        )
        return digest_json(content)

    def without_place(self) -> BaseIdentity:
        """This identity as others may read it: no folder of this machine is named, the digest is the same."""
        here = self.kind in ("folder", "gguf")
        source = Path(self.source).expanduser().resolve().name if here else self.source
        return self.model_copy(update={"source": source, "location": UNSAID})

    def sealed(self) -> BaseIdentity:
        """This identity with its digest."""
        return self.model_copy(update={"digest": self.content_digest()})


@dataclass(frozen=True)
class Base:
    """A base whose files were proven: `folder` is a Hugging Face folder with safetensors, tokenizer.json, config."""

    folder: Path
    identity: BaseIdentity


def write_base(directory: Path, identity: BaseIdentity) -> None:
    """Write base.json; ResourceError when the file system refuses."""
    write_json(directory / BASE_NAME, identity.model_dump(mode="json"))


def read_base(directory: Path) -> BaseIdentity:
    """The identity in `directory`, its files not looked at.

    Raises DataError: DATASET_NOT_FOUND when there is none, CORRUPTION when its own digest does not hold.
    """
    path = directory / BASE_NAME
    try:
        identity = BaseIdentity.model_validate_json(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError) as error:
        raise DataError(
            ErrorCode.DATASET_NOT_FOUND,
            f"no base in {directory}: it has no {BASE_NAME}",
            "give the folder that the base stage made, or run it again",
            details={"path": str(directory)},
        ) from error
    except (OSError, ValidationError) as error:
        raise _damaged(path, "it cannot be read as the record of a base") from error
    if identity.digest != identity.content_digest():
        raise _damaged(path, "it is not as it was written, its own digest says")
    return identity


def base_location(directory: Path, identity: BaseIdentity) -> Path:
    """The folder with the model's files; where it is unsaid, `base` beside `directory`."""
    if identity.location == UNSAID:
        return directory.absolute().parent / KIND
    return directory if identity.location == HERE else Path(identity.location)


def located_base(directory: Path) -> Base:
    """The base in the artifact `directory`, its files found but not looked at; errors as of `read_base`."""
    identity = read_base(directory)
    return Base(base_location(directory, identity), identity)


def hash_files(folder: Path, names: Iterable[str]) -> dict[str, BaseFile]:
    """Size and SHA-256 of the named files of `folder`."""
    return {
        name: BaseFile(size=(folder / name).stat().st_size, sha256=digest_file(folder / name)) for name in sorted(names)
    }


def verify_base(folder: Path, identity: BaseIdentity) -> None:
    """Prove every file of the base in `folder`; DataError(DATA_CHANGED) names the first that is not what it was."""
    for name, record in identity.files.items():
        path = folder / name
        if not path.is_file():
            raise _changed(identity, folder, f"{name} is missing", name)
        size = path.stat().st_size
        if size != record.size:
            raise _changed(identity, folder, f"{name} has {size} bytes and had {record.size}", name)
        if digest_file(path) != record.sha256:
            raise _changed(identity, folder, f"the SHA-256 of {name} is not the one recorded", name)


def _changed(identity: BaseIdentity, folder: Path, what: str, name: str) -> DataError:
    return DataError(
        ErrorCode.DATA_CHANGED,
        f"the base {identity.source} in {folder} is not what it was: {what}",
        "put the old file back, or start a new run with the changed base",
        details={"path": str(folder), "file": name, "base": identity.digest},
    )


def _damaged(path: Path, what: str) -> DataError:
    return DataError(
        ErrorCode.CORRUPTION,
        f"{path} is damaged: {what}",
        "delete its folder and run the same command again; it will be made anew",
        details={"path": str(path)},
    )
