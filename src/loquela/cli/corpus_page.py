"""The report of a corpus as one page of HTML that needs nothing from elsewhere: no scripts, no fonts, no pictures.

Everything that comes from the data is escaped.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import TYPE_CHECKING

from loquela.cli.corpus_tables import leakage_sentences

if TYPE_CHECKING:
    from loquela.artifacts.attributes import Dropped
    from loquela.artifacts.corpus_report import CorpusReport, SignalReport
    from loquela.artifacts.ledger import Arrow

STYLE = """
:root { color-scheme: light dark; --ground: #fdfcf9; --ink: #1f2328; --soft: #656d76; --line: #d8d4ca; --kept: #4f8a8b;
  --lost: #c8553d; --gained: #b48a1e; --panel: #f3f0e8; }
@media (prefers-color-scheme: dark) { :root { --ground: #16181c; --ink: #e4e2dc; --soft: #9aa0a8; --line: #33373e;
  --kept: #6bb0a8; --lost: #e07a5f; --gained: #d8b04a; --panel: #1f2227; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 68rem; padding: 2rem 1.25rem 4rem; background: var(--ground); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: 0 0 .25rem; } h2 { font-size: 1.1rem; margin: 2.5rem 0 .75rem; }
p { margin: .4rem 0; } .soft, caption { color: var(--soft); } code, pre { font-family: ui-monospace, monospace; }
.numbers { display: flex; flex-wrap: wrap; gap: .75rem; margin: 1.25rem 0; padding: 0; list-style: none; }
.numbers li { background: var(--panel); border-radius: .5rem; padding: .6rem .9rem; min-width: 8rem; }
.numbers b { display: block; font-size: 1.25rem; font-variant-numeric: tabular-nums; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .3rem .6rem .3rem 0; border-bottom: 1px solid var(--line); vertical-align: top;
  overflow-wrap: anywhere; }
th { font-weight: 600; color: var(--soft); } td.n, th.n { text-align: right; white-space: nowrap; }
.scroll { overflow-x: auto; }
.arrow { display: grid; grid-template-columns: 8.5rem 1fr 11rem; gap: .75rem; align-items: center; padding: .35rem 0; }
.arrow .bar { display: flex; height: 1.4rem; border-radius: .25rem; overflow: hidden; background: var(--panel); }
.bar .kept { background: var(--kept); } .bar .lost { background: var(--lost); min-width: 2px; }
.arrow .why { grid-column: 2 / 4; margin: 0; color: var(--soft); font-size: .9rem; }
.lost-text { color: var(--lost); } .gained-text { color: var(--gained); }
.signals { display: grid; grid-template-columns: repeat(auto-fill, minmax(15rem, 1fr)); gap: 1rem; }
.signals figure { margin: 0; background: var(--panel); border-radius: .5rem; padding: .7rem; }
.signals svg { width: 100%; height: 4.5rem; display: block; } .signals rect { fill: var(--kept); }
.signals line { stroke: var(--lost); stroke-width: 1.5; } figcaption { font-size: .85rem; overflow-wrap: anywhere; }
details { border-bottom: 1px solid var(--line); padding: .4rem 0; } summary { cursor: pointer; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; background: var(--panel); border-radius: .4rem; padding: .7rem;
  max-height: 16rem; overflow-y: auto; font-size: .85rem; }
"""


def corpus_page(report: CorpusReport) -> str:
    """The page of `report`."""
    parts = [
        *_head(report),
        *_flow(report.arrows),
        *_split(report),
        *_duplicates(report),
        *_signals(report),
        *_dropped(report.dropped),
        *_encodings(report),
        *_languages(report),
        *_sources(report),
    ]
    title = f"Corpus {report.digest[:12]}"
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n" + "\n".join(parts) + "\n</body>\n</html>\n"
    )


def _head(report: CorpusReport) -> Iterator[str]:
    yield f"<h1>Corpus {report.digest[:12]}</h1>"
    yield f'<p class="soft">{escape(str(report.corpus))}</p>'
    numbers = [
        ("documents", f"{report.documents:,}"),
        ("bytes", f"{report.bytes:,}"),
        *((f"{name}, documents", f"{split.documents:,}") for name, split in report.splits.items() if split.documents),
        ("records set aside", f"{report.quarantined:,}"),
    ]
    yield '<ul class="numbers">' + "".join(f"<li><b>{value}</b>{name}</li>" for name, value in numbers) + "</ul>"


def _flow(arrows: Sequence[Arrow]) -> Iterator[str]:
    yield "<h2>From source to split: every byte accounted for</h2>"
    widest = max((max(arrow.bytes_in, arrow.bytes_out) for arrow in arrows), default=1) or 1
    for arrow in arrows:
        lost = -sum(change.bytes for change in arrow.changes if change.bytes < 0)
        kept = max(0, arrow.bytes_in - lost)
        yield '<div class="arrow">'
        yield f"<b>{escape(arrow.arrow)}</b>"
        yield (
            f'<div class="bar"><span class="kept" style="width:{100 * kept / widest:.3f}%"></span>'
            + (f'<span class="lost" style="width:{100 * lost / widest:.3f}%"></span>' if lost else "")
            + "</div>"
        )
        yield f'<span class="soft">{arrow.bytes_out:,} bytes<br>{arrow.items_out:,} items</span>'
        if arrow.changes:
            yield '<p class="why">' + " · ".join(_change(c.reason, c.bytes, c.items) for c in arrow.changes) + "</p>"
        yield "</div>"


def _change(reason: str, size_bytes: int, items: int) -> str:
    kind = "lost-text" if size_bytes < 0 or items < 0 else "gained-text"
    numbers = [f"{size_bytes:+,} bytes"] if size_bytes else []
    numbers += [f"{items:+,} items"] if items else []
    return f'{escape(reason)} <span class="{kind}">{", ".join(numbers)}</span>'


def _split(report: CorpusReport) -> Iterator[str]:
    yield "<h2>What is held out</h2>"
    yield _table(
        ("split", "documents", "bytes", "share of bytes"),
        [
            (name, f"{split.documents:,}", f"{split.bytes:,}", f"{split.bytes / max(1, report.bytes):.2%}")
            for name, split in report.splits.items()
        ],
        numbers=(1, 2, 3),
    )
    if report.units:
        yield f'<p class="soft">stratified by {escape(report.stratify_by)}; the largest unit has '
        yield f"{report.largest_unit:,} documents</p>"
        yield _table(
            ("stratum", "held out", "because", "texts", "documents", "units", "too large"),
            [
                (
                    unit.stratum,
                    "whole texts" if unit.unit == "source" else "documents",
                    unit.reason,
                    *(f"{number:,}" for number in (unit.texts, unit.documents, unit.units, unit.too_large)),
                )
                for unit in report.units
            ],
            numbers=(3, 4, 5, 6),
        )
    yield from (f"<p>{escape(sentence)}</p>" for sentence in leakage_sentences(report))


def _duplicates(report: CorpusReport) -> Iterator[str]:
    yield "<h2>Duplicates and evaluation texts</h2>"
    yield (
        f"<p>{report.near_duplicate_documents:,} documents in {report.near_duplicate_clusters:,} clusters of near "
        f"duplicates, the largest of {report.largest_cluster:,}. A cluster is on one side of the split.</p>"
    )
    if report.evaluation_rows:
        yield (
            f"<p>{report.evaluation_rows:,} texts of evaluation files were looked for; "
            f"{report.evaluation_rows_too_short:,} were too short to.</p>"
        )


def _signals(report: CorpusReport) -> Iterator[str]:
    if report.statuses:
        yield "<h2>Filters</h2>"
        yield "<p>" + ", ".join(f"{count:,} {escape(name)}" for name, count in sorted(report.statuses.items())) + "</p>"
    if report.signals:
        yield '<div class="signals">' + "".join(map(_signal, report.signals)) + "</div>"


def _signal(signal: SignalReport) -> str:
    """A histogram: one bar a bin, a line at the limit."""
    tallest = max(signal.bins) or 1
    width = 100 / len(signal.bins)
    bars = "".join(
        f'<rect x="{place * width:.2f}" y="{40 - 40 * count / tallest:.2f}" width="{width * 0.9:.2f}" '
        f'height="{40 * count / tallest:.2f}"/>'
        for place, count in enumerate(signal.bins)
    )
    limit = ""
    span = signal.maximum - signal.minimum
    if signal.threshold is not None and span and signal.minimum <= signal.threshold <= signal.maximum:
        x = 100 * (signal.threshold - signal.minimum) / span
        limit = f'<line x1="{x:.2f}" x2="{x:.2f}" y1="0" y2="40"/>'
    said = f"{signal.minimum:.4g} to {signal.maximum:.4g}, mean {signal.mean:.4g}"
    if signal.threshold is not None:
        said += f"; limit {signal.threshold:.4g}, {signal.failed:,} of {signal.documents:,} beyond it"
    return (
        f'<figure><svg viewBox="0 0 100 40" preserveAspectRatio="none" role="img" aria-label="{escape(signal.name)}">'
        f"{bars}{limit}</svg><figcaption><b>{escape(signal.name)}</b><br>"
        f'<span class="soft">{said}</span></figcaption></figure>'
    )


def _dropped(dropped: Sequence[Dropped]) -> Iterator[str]:
    if not dropped:
        return
    yield "<h2>Examples of what was dropped</h2>"
    for reason in dict.fromkeys(example.reason for example in dropped):
        examples = [example for example in dropped if example.reason == reason]
        yield f"<details><summary>{escape(reason)} ({len(examples)} shown)</summary>"
        for example in examples:
            numbers = "" if example.value is None else f", value {example.value:.4g}"
            numbers += "" if example.threshold is None else f", limit {example.threshold:.4g}"
            yield f'<p class="soft">{escape(example.source)}, {example.characters:,} characters{numbers}</p>'
            yield f"<pre>{escape(example.text)}{'…' if example.characters > len(example.text) else ''}</pre>"
        yield "</details>"


def _encodings(report: CorpusReport) -> Iterator[str]:
    yield "<h2>Encodings</h2>"
    plain = report.objects - len(report.encodings)
    yield f"<p>{plain:,} of {report.objects:,} objects with a report are plain UTF-8.</p>"
    if report.encodings:
        yield _table(
            ("object", "encoding", "evidence", "invalid places", "repaired", "set aside"),
            [
                (
                    found.object,
                    found.encoding,
                    found.evidence,
                    f"{found.invalid:,}",
                    ", ".join(f"{how}: {count:,}" for how, count in found.repaired.items()),
                    f"{found.quarantined:,}",
                )
                for found in report.encodings
            ],
            numbers=(3, 5),
        )


def _languages(report: CorpusReport) -> Iterator[str]:
    yield "<h2>Languages</h2>"
    yield _table(
        ("language", "documents", "share"),
        [
            (name, f"{count:,}", f"{count / max(1, report.documents):.1%}")
            for name, count in sorted(report.languages.items(), key=lambda item: -item[1])
        ],
        numbers=(1, 2),
    )


def _sources(report: CorpusReport) -> Iterator[str]:
    yield "<h2>Sources</h2>"
    rows = [(source.name, f"{source.texts:,}", f"{source.bytes:,}", source.sha256) for source in report.sources]
    yield _table(("source", "texts", "bytes", "SHA-256"), rows, numbers=(1, 2))


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: tuple[int, ...] = ()) -> str:
    def cells(row: Sequence[str], tag: str) -> str:
        opening = {True: f'<{tag} class="n">', False: f"<{tag}>"}
        return "".join(f"{opening[place in numbers]}{escape(cell)}</{tag}>" for place, cell in enumerate(row))

    body = "".join(f"<tr>{cells(row, 'td')}</tr>" for row in rows)
    head = cells(columns, "th")
    return f'<div class="scroll"><table><tr>{head}</tr>{body}</table></div>'
