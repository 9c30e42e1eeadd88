"""The report of a corpus as tables in the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from loquela.cli.output import table

if TYPE_CHECKING:
    from loquela.artifacts.corpus_report import CorpusReport

SHOWN_ENCODINGS = 20
SHOWN_CHARACTERS = 100


def show_report(report: CorpusReport) -> None:
    """Print everything but the distributions, which the page has."""
    rows = [(source.name, f"{source.texts:,}", f"{source.bytes:,}", source.sha256[:12]) for source in report.sources]
    table(("source", "texts", "bytes", "sha-256"), rows, title=f"corpus {report.corpus}")
    show_flow(report)
    _show_signals(report)
    _show_dropped(report)
    _show_encodings(report)
    show_split(report)


def show_flow(report: CorpusReport) -> None:
    """Print the ledger: a line for every arrow, and under it one for every reason."""
    rows: list[tuple[str, str, str, str, str]] = []
    for arrow in report.arrows:
        rows.append(
            (
                arrow.arrow,
                f"{arrow.items_in:,}",
                f"{arrow.items_out:,}",
                f"{arrow.bytes_in:,}",
                f"{arrow.bytes_out:,}",
            )
        )
        rows.extend(
            (f"  {change.reason}", "", f"{change.items:+,}" if change.items else "", "", f"{change.bytes:+,}")
            for change in arrow.changes
        )
    table(("ledger", "items in", "items out", "bytes in", "bytes out"), rows)


def show_split(report: CorpusReport) -> None:
    """Print what was held out, how, and what it still shares with what is learnt."""
    rows = [
        (name, f"{split.documents:,}", f"{split.bytes:,}", f"{split.bytes / max(1, report.bytes):.1%}")
        for name, split in report.splits.items()
    ]
    table(("split", "documents", "bytes", "share"), rows)
    for unit in report.units:
        held = "whole texts" if unit.unit == "source" else "documents"
        large = f"; {unit.too_large} too large to hold out" if unit.too_large else ""
        click.echo(f"{unit.stratum}: {held} are held out ({unit.reason}); {unit.units:,} units{large}")
    click.echo(
        f"near duplicates: {report.near_duplicate_documents:,} documents in {report.near_duplicate_clusters:,} "
        f"clusters, the largest of {report.largest_cluster:,}; each cluster is on one side"
    )
    for line in leakage_sentences(report):
        click.echo(line)


def leakage_sentences(report: CorpusReport) -> list[str]:
    """What remains of leakage, in words."""
    found = report.leakage
    if found is None or not found.documents:
        return []
    looked = "" if found.share_looked_at == 1 else f" (estimated from {found.share_looked_at:.1%} of them)"
    of_all = f"of {found.documents:,} held-out documents"
    return [
        f"leakage: {found.sharing_any:,} {of_all} share a run of {found.ngram} words with training documents, "
        f"{found.sharing_half:,} at least half of theirs; on average {found.mean_containment:.1%} of such runs{looked}",
        f"leakage: {found.same_source:,} {of_all} come from a text of which other parts are learnt",
    ]


def _show_signals(report: CorpusReport) -> None:
    if report.statuses:
        click.echo("documents judged: " + ", ".join(f"{count:,} {name}" for name, count in report.statuses.items()))
    rows = [
        (
            signal.name,
            f"{signal.minimum:.4g}",
            f"{signal.mean:.4g}",
            f"{signal.maximum:.4g}",
            "" if signal.threshold is None else f"{signal.threshold:.4g}",
            f"{signal.failed:,}",
        )
        for signal in report.signals
    ]
    if rows:
        table(("signal", "least", "mean", "most", "limit", "failed"), rows)


def _show_dropped(report: CorpusReport) -> None:
    shown: dict[str, int] = {}
    rows = []
    for example in report.dropped:
        shown[example.reason] = shown.get(example.reason, 0) + 1
        if shown[example.reason] <= 2:
            value = "" if example.value is None else f"{example.value:.4g}"
            rows.append((example.reason, value, example.source, " ".join(example.text.split())[:SHOWN_CHARACTERS]))
    if rows:
        table(("dropped by", "value", "source", "begins"), rows)


def _show_encodings(report: CorpusReport) -> None:
    rows = [
        (
            found.object,
            found.encoding,
            found.evidence,
            f"{found.invalid:,}",
            ", ".join(f"{how} {count:,}" for how, count in found.repaired.items()),
            f"{found.quarantined:,}",
        )
        for found in report.encodings[:SHOWN_ENCODINGS]
    ]
    if rows:
        table(("object", "encoding", "evidence", "invalid", "repaired", "set aside"), rows)
        if len(report.encodings) > SHOWN_ENCODINGS:
            click.echo(f"and {len(report.encodings) - SHOWN_ENCODINGS:,} more, all in encoding_report.json")
    if report.quarantined:
        click.echo(f"{report.quarantined:,} records were set aside, with their bytes, in quarantine.jsonl")
