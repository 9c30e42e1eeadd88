"""Small corpora to ask about, written for the tests."""

from __future__ import annotations

from pathlib import Path

from loquela.artifacts.corpus import CorpusWriter, Document, Lineage
from loquela.core.digests import digest_bytes

# Each place has numbers, names and enough different words to be worth a question.
PLACES = [
    ("Norhaven", "harbour", 1842, "herring", "Ilse Marten", "granite"),
    ("Velden", "observatory", 1911, "comets", "Jonas Abel", "copper"),
    ("Sant Ferran", "salt works", 1768, "brine", "Marta Solé", "oak"),
    ("Okerby", "paper mill", 1893, "rags", "Peter Lund", "brick"),
    ("Tilmouth", "lighthouse", 1830, "whale oil", "Anne Reed", "sandstone"),
    ("Brugen", "bell foundry", 1655, "bronze", "Claes Wouter", "limestone"),
]


def passage(name: str, thing: str, year: int, stuff: str, person: str, stone: str) -> str:
    return (
        f"The {thing} of {name} was opened in {year} by the engineer {person}. "
        f"Its walls are of {stone} and rise {year % 37 + 12} metres above the square in front of them. "
        f"For three generations the workers there lived from {stuff}, which merchants carried to the coast on mules. "
        f"A fire destroyed the northern wing during a storm, and the council rebuilt it within eleven months. "
        f"Today the building holds a museum about {person} and a small library for the schools of the valley."
    )


def corpus(directory: Path, count: int = 6, language: str | None = "en") -> Path:
    """A corpus of `count` documents in two sources."""
    directory.mkdir(parents=True, exist_ok=True)
    with CorpusWriter(directory) as writer:
        for number in range(count):
            name, thing, year, stuff, person, stone = PLACES[number % len(PLACES)]
            if number >= len(PLACES):
                name, year = f"{name} {number}", year + number
            text = passage(name, thing, year, stuff, person, stone)
            writer.write(
                Document(
                    id=digest_bytes(text.encode())[:32],
                    text=text,
                    source=f"places-{number % 2}.txt",
                    language=language,
                    split="validation" if number % 6 == 5 else "train",
                    labels={"shelf": "local"},
                    lineage=Lineage(
                        object=f"places-{number % 2}.txt",
                        char_start=100 * number,
                        char_end=100 * number + len(text),
                        text_sha256=digest_bytes(text.encode()),
                        chunk=number + 1,
                        pages=(number + 1, number + 2),
                    ),
                )
            )
    return directory
