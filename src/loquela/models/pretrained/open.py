"""A folder → a base whose files are proven: the artifact of the base stage, or a Hugging Face folder as it is."""

from __future__ import annotations

from pathlib import Path

from loquela.artifacts.base import BASE_NAME, Base, base_location, read_base, verify_base
from loquela.models.pretrained.identify import identify


def open_base(place: Path) -> Base:
    """The base in `place`, ready to be loaded.

    `place` has a base.json, by which every file is proven, or is a Hugging Face folder, which is identified now.
    Raises DataError: DATA_CHANGED naming the changed file, CORRUPTION, or what `identify` finds.
    """
    if not (place / BASE_NAME).is_file():
        return Base(place, identify(place, source=str(place)))
    identity = read_base(place)
    folder = base_location(place, identity)
    verify_base(folder, identity)
    return Base(folder, identity)
