"""What was measured as sentences and as a page for people."""

from __future__ import annotations


def outcome(trl: dict[str, object]) -> str:
    if not trl["ran"]:
        return "stops"
    return "runs, warns" if trl["warned"] else "runs, silent"


def summary(rows: list[dict[str, object]]) -> str:
    trl = [row["trl"] for row in rows if "trl" in row]
    caught = sum(bool(row["named"]) for row in rows)
    silent = sum(each["silent"] for each in trl)
    warned = sum(bool(each["ran"] and each["warned"]) for each in trl)
    stopped = sum(not each["ran"] for each in trl)
    theirs = (
        f"; plain TRL runs {silent} of them without a word, {warned} with a warning, stops at {stopped}" if trl else ""
    )
    return f"Loquela names {caught} of {len(rows)} faults{theirs}."


def page(report: dict[str, object]) -> str:
    rows: list[dict[str, object]] = report["faults"]
    packages = ", ".join(f"{name} {number}" for name, number in report["versions"].items())
    lines = [
        "# Silent faults",
        "",
        "It ran, the loss went down, the result is wrong: the faults that cost fine-tuners most are those that nothing",
        "tells them of. Here such faults are planted on purpose, each in a whole run of Loquela and in a training with",
        "plain TRL and its defaults, and the table says who noticed.",
        "",
        f"**{summary(rows)}**",
        "",
        "| What goes wrong | Loquela: caught by | when | plain TRL |",
        "| --- | --- | --- | --- |",
    ]
    for row in rows:
        ours, trl = row["loquela"], row.get("trl")
        theirs = "" if trl is None else f"{outcome(trl)}: {trl['says']}"
        cells = (str(row["what"]), f"`{ours['by']}`", str(ours["when"]), theirs)
        lines.append("| " + " | ".join(cell.replace("|", "\\|").replace("<|", "‹|") for cell in cells) + " |")
    lines += [
        "",
        "Names in lower case are proofs (`preflight.json` of the run has their numbers), names in capitals are error",
        "codes. A fault of code is planted in the very part that trains, after that part's own checks, so that only",
        "the proof can see it. In TRL the same fault is what a user's own collator, callback, loss or file would do;",
        "warnings that TRL gives in a run without any fault do not count.",
        "",
        "What no machine can see is not in the table: preferences that stand in each other's column in the file itself",
        "are valid data. Loquela shows them (`loquela prepare-examples`), and refuses those that are equal.",
        "",
        f"Measured with {packages}. To measure again, in a few minutes:",
        "",
        "    python benchmarks/silent_faults.py --out benchmarks/results/silent-faults.json \\",
        "        --markdown docs/silent-faults.md",
        "",
    ]
    return "\n".join(lines)
