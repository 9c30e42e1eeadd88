"""README.md of a bundle: what it is, how near it is to the model it was made from, and a line that runs it."""

from __future__ import annotations

from loquela.artifacts.bundle import BundleFacts
from loquela.export.contracts import ExportReport, TokenParity

RUN_LINES = {
    "torch": (
        "With transformers, where `config.json` names a class of it:\n\n"
        "    from transformers import AutoModelForCausalLM\n"
        '    model = AutoModelForCausalLM.from_pretrained("this folder")\n'
    ),
    "onnxruntime": (
        "With ONNX Runtime alone (inputs and outputs are described in `docs/export.md` of Loquela):\n\n"
        "    import onnxruntime\n"
        '    session = onnxruntime.InferenceSession("model.onnx")\n'
        "    print([entry.name for entry in session.get_inputs()])\n"
    ),
    "torchscript": (
        "With torch alone, without Loquela's code:\n\n"
        "    import torch\n"
        '    model = torch.jit.load("model.pt")\n'
        "    logits, *state = model(tokens, *state)    # what a state is: docs/export.md of Loquela\n"
    ),
    "llama.cpp": (
        "With llama.cpp, or with Ollama where a `Modelfile` lies here:\n\n"
        "    llama-cli -m model.gguf -p 'Once upon a time'\n"
        "    ollama create my-model -f Modelfile\n"
    ),
}


def model_card(report: ExportReport, facts: BundleFacts, name: str) -> str:
    """The whole file."""
    return "\n".join(
        [
            f"# {name}",
            "",
            f"A {facts.family} language model of {facts.parameters:,} parameters, exported by Loquela to "
            f"{facts.format} ({facts.scheme}) from `{report.source}`.",
            "",
            f"- vocabulary {facts.vocab_size:,}, context {facts.context:,} tokens",
            f"- {report.model_bytes / 1e6:.2f} MB, made from weights of {report.reference_bytes / 1e6:.2f} MB",
            f"- checkpoint `{report.checkpoint_digest}`",
            "",
            "## How to run it",
            "",
            f"    loquela generate PATH/TO/{name} --prompt 'Once upon a time'",
            "",
            RUN_LINES[facts.runtime],
            "## How near it is to the model it was made from",
            "",
            *parity_rows(report),
            "",
            "Every file's SHA-256 is in `manifest.json`; everything that was measured is in `export_report.json`.",
            "",
        ]
    )


def parity_rows(report: ExportReport) -> list[str]:
    """The measurements as a Markdown table."""
    return ["| measured | value |", "|---|---|", *(f"| {name} | {value} |" for name, value in measurements(report))]


def measurements(report: ExportReport) -> list[tuple[str, str]]:
    """What was measured, for people: (what, value)."""
    logits = report.logits
    same = sum(each.same for each in report.continuations)
    written = sum(len(each.reference_ids) for each in report.continuations)
    rows = [
        ("held-out text", f"{logits.text}, {logits.tokens:,} tokens"),
        ("largest logit difference", f"{logits.max_logit_difference:.3g}"),
        ("mean KL", f"{logits.mean_kl:.3g} nats"),
        ("same likeliest token", f"{logits.top1_agreement:.2%}"),
        ("loss", f"{logits.reference_loss:.4f} → {logits.loss:.4f} nats per token ({logits.loss_increase:+.4f})"),
        ("bits per byte", f"{logits.reference_bits_per_byte:.4f} → {logits.bits_per_byte:.4f}"),
        ("greedy continuations", f"{same} of {written} tokens before the first difference"),
        (
            "tokenizer" + (" of the file" if report.tokenizer.own else ""),
            _tokenizer(report.tokenizer),
        ),
    ]
    if report.pruning is not None:
        rows.append(
            (
                "pruning",
                f"{report.pruning.share:.0%} of every matrix, {report.pruning.loss_before:.4f} → "
                f"{report.pruning.loss_after:.4f} nats per token",
            )
        )
    return rows


def _tokenizer(tokens: TokenParity) -> str:
    said = f"{tokens.equal} of {tokens.strings} texts in the same tokens"
    if tokens.reordered:
        said += f", {tokens.reordered} in equally likely ones (the same pieces in another order)"
    if tokens.unmarked:
        said += f", {tokens.unmarked} without the byte-order mark at their start"
    if tokens.uncomposed:
        said += f", {tokens.uncomposed} only once they are composed (NFC)"
    return said
