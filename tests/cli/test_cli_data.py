"""prepare-data, and what can be looked at afterwards: report, page, rows, one token's way back."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from cli_harness import Loquela

RECIPE = """
schema_version: 1
name: books
data:
  sources: [texts]
  document_bytes: 900
  validation_fraction: 0.1
  duplicates: {near: drop}
tokenizer: {method: bpe, vocab_size: 400}
model: {max_sequence_length: 32}
"""
PROSE = "The <b>fox</b> & the river had {n} names; nobody in valley {n} knew why number {m} was so well liked.\n\n"


@pytest.fixture
def prepared(loquela: Loquela, tmp_path: Path) -> Loquela:
    texts = tmp_path / "texts"
    texts.mkdir()
    for book in range(3):
        (texts / f"{book}.txt").write_text("".join(PROSE.format(n=n * n, m=n + 700 * book) for n in range(40)))
    copy = [PROSE.format(n=n * n, m=n) for n in range(40)]
    copy[::9] = [paragraph.replace("valley", "<script>") for paragraph in copy[::9]]
    (texts / "again.txt").write_text("".join(copy))
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    outcome = loquela("prepare-data", "recipe.yaml", "--quiet")
    assert outcome.code == 0, outcome.err
    assert "near_duplicate" in outcome.out
    assert re.search(r"next:\n  loquela data report .*\n  loquela train recipe.yaml --resume books-", outcome.out)
    return loquela


class _Page(HTMLParser):
    """Which tags a page has, where it leads, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.outside: list[str] = []
        self.words: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.outside += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def test_report_in_the_terminal_as_json_and_as_a_page(prepared: Loquela, tmp_path: Path) -> None:
    shown = prepared("data", "report", "latest", "--html", "report.html")
    assert shown.code == 0, shown.err
    assert "leakage:" in shown.out
    assert "text_cut_into_documents" in shown.out
    report = prepared("data", "report", "latest", "--json").json
    for arrow in report["arrows"]:
        for unit in ("items", "bytes"):
            change = sum(change[unit] for change in arrow["changes"])
            assert arrow[f"{unit}_in"] + change == arrow[f"{unit}_out"]
    assert report["arrows"][0]["arrow"] == "read"
    folder = Path(report["corpus"])
    assert prepared("data", "report", str(folder), "--json").json["digest"] == report["digest"]
    page = (tmp_path / "report.html").read_text()
    parsed = _Page(page)
    assert not parsed.outside
    assert not parsed.tags & {"script", "link", "img", "iframe"}
    assert "prefers-color-scheme: dark" in page
    assert report["digest"][:12] in page
    # What the data says is text on the page, never markup.
    assert any("<script>" in words for words in parsed.words)
    assert {example["reason"] for example in report["dropped"]} == {"near_duplicate"}


def test_preview_of_a_recipe_and_of_its_run_are_the_same(prepared: Loquela) -> None:
    by_recipe = prepared("data", "preview", "recipe.yaml", "--rows", "2", "--json").json
    assert by_recipe == prepared("data", "preview", "latest", "--rows", "2", "--json").json
    first, second = by_recipe["rows"]
    assert by_recipe["rows_total"] == -(-(by_recipe["tokens_total"] - 1) // 32)
    assert (len(first["tokens"]), first["trained"]) == (33, 32)
    assert [token["trained"] for token in first["tokens"]] == [False] + [True] * 32
    # Neighbouring rows share one token: the last target of one is the first input of the next.
    assert first["tokens"][-1]["id"] == second["tokens"][0]["id"]
    assert first["text"].startswith("The <b>fox</b> & the river")
    ends = [token for row in by_recipe["rows"] for token in row["tokens"] if token["ends_document"]]
    assert {token["text"] for token in ends} <= {"<eos>"}
    shown = prepared("data", "preview", "recipe.yaml", "--rows", "1", "--split", "validation")
    assert "32 learnt" in shown.out


def test_preview_of_a_recipe_that_was_not_prepared(loquela: Loquela, tmp_path: Path) -> None:
    (tmp_path / "other.yaml").write_text("schema_version: 1\ndata: {seed: 4}\n")
    outcome = loquela("data", "preview", "other.yaml", "--json")
    assert outcome.code == 3
    assert "has prepared the data of other.yaml" in outcome.error["message"]
    assert outcome.error["remedy"] == "prepare it: loquela prepare-data other.yaml"


def test_a_token_leads_back_to_the_bytes_of_its_source(prepared: Loquela, tmp_path: Path) -> None:
    found = prepared("data", "trace", "latest", "--token", "700", "--json").json
    assert [check["name"] for check in found["checks"]] == ["document", "tokens", "source"]
    assert all(check["passed"] for check in found["checks"]), found["checks"]
    lineage = found["lineage"]
    whole = (tmp_path / lineage["object"]).read_text()
    document = whole[lineage["char_start"] : lineage["char_end"]]
    assert found["before"][-20:] in document
    shown = prepared("data", "trace", "latest", "--token", "700")
    assert shown.code == 0
    assert "ok      source: " in shown.out


def test_a_source_that_changed_is_seen(prepared: Loquela, tmp_path: Path) -> None:
    found = prepared("data", "trace", "latest", "--token", "700", "--json").json
    path = tmp_path / found["lineage"]["object"]
    path.write_text(path.read_text().replace("fox", "dog"))
    outcome = prepared("data", "trace", "latest", "--token", "700", "--json")
    assert outcome.code == 5
    assert "hold another text now" in outcome.json["checks"][2]["message"]
    path.unlink()
    outcome = prepared("data", "trace", "latest", "--token", "700")
    assert outcome.code == 5
    assert re.search(
        r"FAILED  source: (the source cannot be read again|.* is not in the sources any more)", outcome.out
    )


def test_a_record_of_the_same_text_in_other_bytes_is_seen(loquela: Loquela, tmp_path: Path) -> None:
    rows = [json.dumps({"text": PROSE.format(n=n * n, m=n), "id": n}) for n in range(40)]
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(rows) + "\n")
    (tmp_path / "recipe.yaml").write_text(RECIPE.replace("[texts]", "[rows.jsonl]").replace("drop", '"off"'))
    outcome = loquela("prepare-data", "recipe.yaml", "--quiet")
    assert outcome.code == 0, outcome.err

    def traced() -> tuple[int, str]:
        outcome = loquela("data", "trace", "latest", "--token", "300", "--json")
        (check,) = [check for check in outcome.json["checks"] if check["name"] == "source"]
        assert check["passed"] == (outcome.code == 0)
        return outcome.code, check["message"]

    lineage = loquela("data", "trace", "latest", "--token", "300", "--json").json["lineage"]
    place = lineage["record"] - 1
    where = f"of record {place + 1} of {lineage['object']}"
    assert traced() == (
        0,
        f"characters 0 to {lineage['char_end']} {where} hold the same bytes and text as when it was read",
    )
    # Another record's bytes do not matter, its own do: by a column beside the text, and by the text.
    other = [row.replace('"id": ', '"id": 1') if number != place else row for number, row in enumerate(rows)]
    path.write_text("\n".join(other) + "\n")
    assert traced()[0] == 0
    path.write_text("\n".join(row.replace('"id": ', '"id": 1') for row in rows) + "\n")
    code, message = traced()
    assert code == 5
    assert re.search(r"hold the same text now, of other bytes \(SHA-256 \w{12}…, then \w{12}…\)$", message)
    assert f"then {lineage['raw_sha256'][:12]}" in message
    path.write_text("\n".join(row.replace("fox", "dog") for row in rows) + "\n")
    code, message = traced()
    assert code == 5
    assert "hold another text now, of other bytes" in message


def test_a_token_that_is_not_there(prepared: Loquela) -> None:
    outcome = prepared("data", "trace", "latest", "--token", "99999999", "--json")
    assert outcome.code == 3
    assert "there is no token 99,999,999 in train" in outcome.error["message"]


def test_records_of_the_run(prepared: Loquela) -> None:
    again = json.loads(prepared("prepare-data", "recipe.yaml", "--resume", "never", "--json").out)
    assert [again["manifest"]["stages"][name]["reused"] for name in ("ingest", "tokenizer", "prepare")] == [True] * 3
    leakage = again["manifest"]["stages"]["ingest"]["facts"]["leakage"]
    assert leakage["documents"] > 0
