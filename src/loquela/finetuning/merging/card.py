"""README.md of a merged model: what was merged, how near it is to its adapter, how to load it."""

from __future__ import annotations

from loquela.artifacts.base import BaseIdentity
from loquela.artifacts.merge_report import MergeCandidate, MergeReport

LICENCE = (
    "> **No licence is set.** The licence of the base and the rights to the documents that the rows were made from "
    "decide what may be done with this model. Write the licence here before you hand it on."
)
IN_WORDS = {
    "full": "the base in full precision",
    "dequantized": "the base as its quantised weights read, dequantised",
}


def merged_card(report: MergeReport, base: BaseIdentity, name: str) -> str:
    """The whole file."""
    revision = f" at commit `{base.revision}`" if base.revision else ""
    return "\n".join(
        [
            f"# {name}",
            "",
            f"`{base.source}`{revision} ({base.architecture}, {base.parameters:,} parameters) with a LoRA adapter "
            "merged into its weights. It needs neither PEFT nor Loquela to run.",
            "",
            LICENCE,
            "",
            f"- base `{base.digest}`",
            f"- adapter `{report.adapter_digest}`",
            "",
            "## How to load it",
            "",
            "    from transformers import AutoModelForCausalLM, AutoTokenizer",
            '    model = AutoModelForCausalLM.from_pretrained("this folder")',
            '    tokenizer = AutoTokenizer.from_pretrained("this folder")',
            "",
            f"    loquela chat PATH/TO/{name}",
            "",
            "## How near it is to the adapter on its base",
            "",
            f"Compared with {report.reference}, on {report.prompts_compared} prompts and {report.positions_compared:,} "
            f"positions: {report.prompts}.",
            "",
            *merge_table(report),
            "",
            "Every file's SHA-256 is in `manifest.json`; everything that was measured is in `merge_report.json`.",
            "",
        ]
    )


def merge_table(report: MergeReport) -> list[str]:
    """One column for each base that was tried, as a Markdown table."""
    columns = [f"{IN_WORDS[each.base]}{' (taken)' if each.base == report.chosen else ''}" for each in report.candidates]
    rows = [("measured", *columns), ("---",) * (len(columns) + 1)]
    numbers = [measurements(each) for each in report.candidates]
    rows += [(row[0][0], *(value for _, value in row)) for row in zip(*numbers, strict=True)]
    return [f"| {' | '.join(row)} |" for row in rows]


def measurements(candidate: MergeCandidate) -> list[tuple[str, str]]:
    """What was measured, for people: (what, value)."""
    return [
        ("mean KL", f"{candidate.mean_kl:.3g} nats"),
        ("largest KL", f"{candidate.max_kl:.3g} nats"),
        ("same likeliest token", f"{candidate.top1_agreement:.2%}"),
        ("same greedy answers", f"{candidate.greedy_match:.2%}"),
        ("greedy tokens before a difference", f"{candidate.greedy_tokens_equal:.2%}"),
        ("largest logit difference", f"{candidate.max_logit_difference:.3g}"),
        ("matrices changed", f"{candidate.changed_tensors} of {candidate.tensors} tensors"),
        ("stored as", f"{', '.join(candidate.number_format)}, {candidate.size_bytes / 1e6:.1f} MB"),
    ]
