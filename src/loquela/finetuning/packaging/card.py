"""README.md of a final artifact, made from its metadata and nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from loquela.artifacts.final_artifact import ArtifactMetadata, EvaluationRow, Interval
from loquela.finetuning.merging.card import LICENCE

METHODS = {
    "lora": "a LoRA adapter",
    "qlora": "a LoRA adapter, trained on its base in 4 bits (QLoRA)",
    "int8_lora": "a LoRA adapter, trained on its base in 8 bits",
    "full": "a whole model, every weight of it trained",
}
TASKS = {
    "sft": "learnt answers (supervised fine-tuning)",
    "dpo": "learnt which of two answers is better (DPO)",
    "kto": "learnt good and bad answers (KTO)",
}
# What says where something lies on the machine of whoever trained it is nobody else's business.
PLACE = re.compile(r"(?:^|\s)(?:/|[A-Za-z]:\\)\S")
IN_THE_HEAD = ("version", "task", "method", "base", "base_digest")
PEFT = """    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer
    base = AutoModelForCausalLM.from_pretrained("{source}"{revision})
    model = PeftModel.from_pretrained(base, "this folder")
    tokenizer = AutoTokenizer.from_pretrained("this folder")"""
TRANSFORMERS = """    from transformers import AutoModelForCausalLM, AutoTokenizer
    model = AutoModelForCausalLM.from_pretrained("this folder")
    tokenizer = AutoTokenizer.from_pretrained("this folder")"""


def generate_adapter_readme(metadata: ArtifactMetadata) -> str:
    """The whole file."""
    parts = (_head(metadata), _loading(metadata), _data(metadata), _training(metadata), _measured(metadata))
    return "\n".join(line for part in (*parts, _proofs(metadata), _origin(metadata)) for line in part)


def _head(metadata: ArtifactMetadata) -> list[str]:
    base = metadata.base
    revision = f" at commit `{base.revision}`" if base.revision else ""
    return [
        f"# {metadata.name}",
        "",
        f"`{base.source}`{revision} ({base.architecture}, {base.parameters:,} parameters) has "
        f"{TASKS[metadata.task]}; this is {METHODS[metadata.method]}.",
        "",
        LICENCE,
        "",
    ]


def _loading(metadata: ArtifactMetadata) -> list[str]:
    revision = f', revision="{metadata.base.revision}"' if metadata.base.revision else ""
    peft = PEFT.format(source=metadata.base.source, revision=revision)
    return [
        "## How to load it",
        "",
        "    loquela chat PATH/TO/THIS/FOLDER",
        "",
        *(TRANSFORMERS if metadata.method == "full" else peft).split("\n"),
        "",
        "The template of the conversations that it was trained with is `chat_template.jinja`; with another one it "
        "answers worse.",
        "",
    ]


def _data(metadata: ArtifactMetadata) -> list[str]:
    lines = ["## What it learnt from", ""]
    splits = metadata.data.splits
    rows = [
        (name, f"{split.examples:,}", f"{split.rows:,}", f"{split.tokens:,}", f"{split.learnt_tokens:,}")
        for name, split in splits.items()
        if split.examples
    ]
    if rows:
        lines += [*_table(("split", "examples", "rows", "tokens", "trained tokens"), rows), ""]
    changes = [
        (each.step, each.reason, f"{each.examples:,}", f"{each.left_out:,}", f"{each.tokens:+,}")
        for each in metadata.data.changes
    ]
    if changes:
        lines += ["Left out, shortened or split on the way:", ""]
        lines += [*_table(("step", "reason", "examples", "left out", "tokens"), changes), ""]
    elif rows:
        lines += ["No example was left out, shortened or split.", ""]
    template = f" The rows went through the template `{metadata.data.template}`." if metadata.data.template else ""
    return [*lines, f"Digest of the rows: `{metadata.data.digest}`.{template}", ""]


def _training(metadata: ArtifactMetadata) -> list[str]:
    facts = [
        (name, value)
        for name, value in metadata.training.items()
        if name not in IN_THE_HEAD and isinstance(value, str | int | float)
    ]
    held = [(name, value) for name, value in metadata.effective_settings.items() if not isinstance(value, dict | list)]
    lines = [
        "## How it was trained",
        "",
        *_table(("fact", "value"), [(_named(name), _said(value)) for name, value in facts]),
    ]
    if held:
        lines += ["", "Settings that held, read from the model and the optimizer themselves:", ""]
        lines += _table(("setting", "value"), [(name, _said(value)) for name, value in held])
    return [*lines, "", "Every value of the recipe is in `training_config.yaml`.", ""]


def _measured(metadata: ArtifactMetadata) -> list[str]:
    lines = []
    if metadata.evaluation:
        lines += [
            "## Base against adapter, on rows that were held out",
            "",
            *_table(
                ("metric", "rows", "base", "adapter", "difference (95 %)", "verdict"),
                [_row(metric) for metric in metadata.evaluation if metric.rows],
            ),
            "",
        ]
    if metadata.merge is not None:
        merge = metadata.merge
        lines += [
            "## Merged model",
            "",
            f"Merged into the {merge.base} base it differs from the adapter on its base by a mean KL of "
            f"{merge.mean_kl:.3g} nats; {merge.top1_agreement:.2%} of positions expect the same token, "
            f"{merge.greedy_match:.2%} of greedy answers are the same. Digest: `{merge.digest}`.",
            "",
        ]
    return lines


def _proofs(metadata: ArtifactMetadata) -> list[str]:
    rows = [
        (each.name, "holds" if each.passed else "FAILED", each.message)
        for each in metadata.proofs
        if not PLACE.search(each.message)
    ]
    files = len(metadata.base.files_after)
    rows.append(("base files", "holds", f"{files} files have the SHA-256 after the training that they had before"))
    said = "Every proof before, during and after the training is in `preflight.json`."
    return ["## Proofs", "", *_table(("proof", "", "found"), rows), "", said, ""]


def _origin(metadata: ArtifactMetadata) -> list[str]:
    versions = ", ".join(f"{name} {version}" for name, version in metadata.versions.items())
    return [
        "## Where it comes from",
        "",
        *_table(("artifact", "digest"), [(link.role, f"`{link.digest}`") for link in metadata.chain]),
        "",
        f"Run `{metadata.run_id}`, {metadata.created:%Y-%m-%d}. {versions}.",
        "",
        "`loquela verify PATH/TO/THIS/FOLDER` checks all of it again, offline; `checksums.json` has the SHA-256 of "
        "every file.",
        "",
    ]


def _row(metric: EvaluationRow) -> tuple[str, ...]:
    difference = _number(metric.difference)
    if metric.difference.low is not None and metric.difference.high is not None:
        difference += f" ({metric.difference.low:+.4g} … {metric.difference.high:+.4g})"
    return (metric.name, str(metric.rows), _number(metric.base), _number(metric.adapter), difference, metric.verdict)


def _number(interval: Interval) -> str:
    return "–" if interval.value is None else f"{interval.value:.4g}"


def _named(fact: str) -> str:
    return {"tokens": "trained tokens", "tokens_per_second": "trained tokens per second"}.get(
        fact, fact.replace("_", " ")
    )


def _said(value: object) -> str:
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.6g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [_line(head), _line(["---"] * len(head)), *(_line([_cell(text) for text in row]) for row in rows)]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(text: str) -> str:
    """A value inside a table: nothing of it may end the cell or the row."""
    return " ".join(text.split()).replace("|", "\\|")
