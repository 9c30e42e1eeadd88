"""Datasets that lie on a hub: rows are read from files here, so they are fetched first, into a folder of their name."""

from __future__ import annotations

import re
from pathlib import Path

HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
FILES = (".json", ".jsonl", ".csv", ".tsv", ".parquet", ".arrow", ".txt", ".zst", ".gz")
FOLDER = "datasets"


def is_hub_name(path: str) -> bool:
    """Whether `path` is organisation/name, and nothing of that name lies here."""
    return bool(HUB_NAME.fullmatch(path)) and not path.endswith(FILES) and not Path(path).exists()


def local_folder(name: str) -> str:
    """Where the recipe expects the files of a dataset."""
    return f"{FOLDER}/{name}"


def fetch_command(name: str) -> str:
    """What brings them there."""
    return f"hf download --repo-type dataset {name} --local-dir {local_folder(name)}"


def to_fetch(name: str) -> str:
    """The note beside such a source."""
    return f"lies on the hub; fetch its files first: {fetch_command(name)}"
