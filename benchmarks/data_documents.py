"""PDF pages/s and text quality: Loquela's reader (in its limited process), pypdfium2 bare, pypdf and pdfminer.six.

    .venv/bin/pip install pdfminer.six
    .venv/bin/python benchmarks/data_documents.py [--material ../shared/data] [--rounds 5] [--output FILE]

Two sets: a book made here, whose text is known to the letter, and the material's PDFs where they are. Contenders take
turns on one core; what counts is the median of the rounds. Quality: on the book, the share of its words that come out
in order; on the material, the strings that its manifest demands, and the words of the one reference in order.
"""

from __future__ import annotations

import argparse
import difflib
import json
import statistics
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "data"))
from documents_made import make_pdf, page_of

from loquela.core.errors import LoquelaError
from loquela.data.documents.load import DocumentReader
from loquela.data.stories.story import stories
from loquela.recipe.document_section import DocumentOptions

LINES_ON_A_PAGE, BOOK_PAGES = 40, 60
BOOK = "gutenberg/en/carroll_alice_in_wonderland.txt"
Extract = Callable[[Path], str]


def with_pypdfium2(path: Path) -> str:
    import pypdfium2

    document = pypdfium2.PdfDocument(path)
    return "\n".join(page.get_textpage().get_text_range() for page in document)


def with_pypdf(path: Path) -> str:
    import pypdf

    return "\n".join(page.extract_text() for page in pypdf.PdfReader(path).pages)


def with_pdfminer(path: Path) -> str:
    from pdfminer.high_level import extract_text

    return extract_text(str(path))


def words_in_order(wanted: str, found: str) -> float:
    """Share of the words of `wanted` that `found` has in the same order."""
    words = wanted.split()
    matcher = difflib.SequenceMatcher(None, words, found.split(), autojunk=False)
    return sum(block.size for block in matcher.get_matching_blocks()) / max(1, len(words))


def attempt(extract: Extract, path: Path) -> str:
    try:
        return extract(path)
    except LoquelaError as error:
        return f"refused: {error.code}"
    except Exception as error:
        return f"failed: {type(error).__name__}"


def timed(extract: Extract, paths: list[Path]) -> float:
    began = time.perf_counter()
    for path in paths:
        attempt(extract, path)
    return time.perf_counter() - began


def book_text(path: Path) -> str:
    """The book, or stories as long."""
    if path.is_file():
        return path.read_text(encoding="utf-8")
    told = "\n".join(story.english for story in stories(1, 600))
    return "\n".join(textwrap.wrap(told, 72))


def make_book(folder: Path, text: str) -> tuple[Path, str]:
    plain = text.encode("cp1252", "ignore").decode("cp1252").replace("\r", "")
    lines = [line for line in plain.split("\n") if line.strip()][: LINES_ON_A_PAGE * BOOK_PAGES]
    pages = ["\n".join(lines[at : at + LINES_ON_A_PAGE]) for at in range(0, len(lines), LINES_ON_A_PAGE)]
    return make_pdf(folder / "book.pdf", [page_of(page) for page in pages], compress=True), "\n".join(lines)


def quality(extract: Extract, material: Path, entries: list[dict[str, object]]) -> dict[str, object]:
    hits, demanded = 0, 0
    answers: dict[str, str] = {}
    for entry in entries:
        text = attempt(extract, material / str(entry["file"]))
        wanted = [str(part) for part in entry.get("must_contain", [])]
        hits += sum(part in text for part in wanted)
        demanded += len(wanted)
        answers[Path(str(entry["file"])).stem] = (
            text if text.startswith(("refused", "failed")) else f"{len(text)} characters"
        )
        if reference := entry.get("reference"):
            expected = (material / "documents/pdf" / Path(str(reference)).name).read_text(encoding="utf-8")
            for sign in "|*#-":
                expected = expected.replace(sign, " ")
            table = words_in_order(expected, text.replace("-", " "))
    return {"must_contain": f"{hits}/{demanded}", "reference_words_in_order": round(table, 3), "answers": answers}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--material", type=Path, default=Path(__file__).parents[1] / "../shared/data")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    material: Path = options.material
    manifest = material / "documents/manifest.jsonl"
    entries = [json.loads(line) for line in manifest.read_text().splitlines()] if manifest.is_file() else []
    entries = [entry for entry in entries if entry["file"].endswith(".pdf")]
    # Neither the scan nor the locked file has text to time.
    timed_paths = [
        material / entry["file"] for entry in entries if "password" not in entry and "grayscale" not in entry["file"]
    ]
    timed_pages = sum(entry["pages"] for entry in entries if material / entry["file"] in timed_paths)
    results: dict[str, dict[str, object]] = {}
    with tempfile.TemporaryDirectory() as folder, DocumentReader(DocumentOptions()) as reader:
        book, text = make_book(Path(folder), book_text(material / BOOK))
        contenders: dict[str, Extract] = {
            "loquela": lambda path: reader.load(path).text,
            "pypdfium2 bare": with_pypdfium2,
            "pypdf": with_pypdf,
            "pdfminer.six": with_pdfminer,
        }
        seconds: dict[str, dict[str, list[float]]] = {name: {"book": [], "material": []} for name in contenders}
        for name, extract in contenders.items():  # imports and the reading process, not timed
            results[name] = quality(extract, material, entries) if entries else {}
            results[name]["book_words_in_order"] = round(words_in_order(text, extract(book)), 4)
        for _ in range(options.rounds):
            for name, extract in contenders.items():
                seconds[name]["book"].append(timed(extract, [book]))
                seconds[name]["material"].append(timed(extract, timed_paths))
    for name, measured in seconds.items():
        results[name]["book_pages_per_second"] = round(BOOK_PAGES / statistics.median(measured["book"]), 1)
        if entries:
            results[name]["material_pages_per_second"] = round(timed_pages / statistics.median(measured["material"]), 1)
    show(results)
    if options.output:
        versions = {name: metadata.version(name) for name in ("pypdfium2", "pypdf", "pdfminer.six")}
        options.output.write_text(
            json.dumps({"versions": versions, "results": results}, indent=2, ensure_ascii=False) + "\n"
        )


def show(results: dict[str, dict[str, object]]) -> None:
    for name, row in results.items():
        print(f"{name}:")
        for what, value in row.items():
            print(f"  {what:28} {value}")


if __name__ == "__main__":
    main()
