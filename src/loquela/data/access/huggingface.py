"""A thin typed door to the library `datasets`: tables that lie in memory-mapped Arrow files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

from loquela.core import extras
from loquela.core.errors import DataError, ErrorCode, LoquelaError, RecipeError, ResourceError

SAVED_MARKS = ("state.json", "dataset_dict.json")


class Table(Protocol):
    """A split of a data set."""

    column_names: list[str]
    num_rows: int

    def select_columns(self, column_names: list[str]) -> Table:
        """The table with these columns only."""

    def __iter__(self) -> Iterator[dict[str, object]]:
        """Row after row."""


def local_table(folder: Path, split: str, cache: Path) -> Table:
    """`split` of the data set in `folder`: one that the library saved, or files it can read (parquet, JSON, CSV, …).

    Raises RecipeError(INVALID_SOURCE) for a split that is not there, DataError(CORRUPT_DATA) for what cannot be read.
    """
    library = extras.require("datasets", extra="data", purpose="reading Hugging Face data sets")
    library.disable_progress_bars()
    try:
        if any((folder / mark).is_file() for mark in SAVED_MARKS):
            loaded: Table | Mapping[str, Table] = library.load_from_disk(str(folder))
        else:
            loaded = library.load_dataset(str(folder), cache_dir=str(cache))
    except (OSError, ValueError, RuntimeError) as error:
        raise _unreadable(str(folder), error) from error
    except Exception as error:
        # The library wraps what its readers raise in errors of its own.
        if type(error).__module__.startswith("datasets"):
            raise _unreadable(str(folder), error) from error
        raise
    if not isinstance(loaded, Mapping):
        return loaded
    if split not in loaded:
        raise RecipeError(
            ErrorCode.INVALID_SOURCE,
            f"the data set in {folder} has no split {split!r}; it has {', '.join(loaded)}",
            f"set huggingface.split to one of them: {', '.join(loaded)}",
        )
    return loaded[split]


def hub_table(name: str, config: str | None, split: str, revision: str, cache: Path, token: str | None) -> Table:
    """`split` of the data set `name` on the hub at the commit `revision`, downloaded into `cache` once.

    `token` opens a private one; without it the library asks as nobody. The library runs no code of the data set. Raises
    as `local_table`, and ResourceError(NETWORK_ERROR).
    """
    library = extras.require("datasets", extra="data", purpose="reading Hugging Face data sets")
    library.disable_progress_bars()
    try:
        table: Table = library.load_dataset(
            name, config, split=split, revision=revision, cache_dir=str(cache), token=token or False
        )
    except Exception as error:
        raise _hub_failure(name, error) from error
    return table


def _hub_failure(name: str, error: Exception) -> LoquelaError:
    kind = type(error).__name__
    if isinstance(error, ConnectionError) or "Offline" in kind or "Connect" in kind:
        return ResourceError(
            ErrorCode.NETWORK_ERROR,
            f"the hub cannot be reached for the data set {name}: {_first_line(error)}",
            "check the network, or download the data set and give its folder: hf:FOLDER",
            retryable=True,
        )
    if "NotFound" in kind or isinstance(error, FileNotFoundError):
        return DataError(
            ErrorCode.DATA_NOT_FOUND,
            f"the hub has no data set {name} of that revision, or does not show it: {_first_line(error)}",
            "correct the name and huggingface.revision; a private one needs a credential (bearer)",
        )
    return _unreadable(name, error)


def _unreadable(name: str, error: Exception) -> DataError:
    return DataError(
        ErrorCode.CORRUPT_DATA,
        f"the data set {name} cannot be read: {_first_line(error)}",
        "correct the address, huggingface.config and huggingface.split, or give its files as sources of their own",
        details={"source": name, "reason": type(error).__name__},
    )


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
