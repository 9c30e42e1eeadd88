"""A comparison without a recipe's run: a base, an adapter and examples that lie in folders."""

from __future__ import annotations

from pathlib import Path

from loquela.artifacts.context import StopRequest
from loquela.artifacts.examples import EXAMPLES_NAME
from loquela.artifacts.manifest import MANIFEST_NAME, verify, write_manifest
from loquela.artifacts.token_rows import ROWS_NAME
from loquela.core.digests import digest_file, digest_json
from loquela.core.errors import DataError, ErrorCode, Interrupted
from loquela.evaluation.tuned.comparison import Comparison, Inputs, Surroundings
from loquela.evaluation.tuned.contracts import ComparisonReport
from loquela.evaluation.tuned.preflight import check_section
from loquela.evaluation.tuned.sides import Sides
from loquela.evaluation.tuned.stage import facts_of, load_plan
from loquela.models.pretrained.open import open_base
from loquela.monitoring.events import Bus
from loquela.recipe.schema import Recipe

KIND = "comparison"


def compare_folders(
    base: Path, adapter: Path, examples: Path, output: Path, recipe: Recipe, bus: Bus, stop: StopRequest
) -> ComparisonReport:
    """Compare as `evaluate.tuned` of `recipe` says, into `output`; goes on where it was stopped.

    Folders with a manifest are proven by it. Errors as of the compare stage, and of `check_section`.
    """
    check_section(recipe.evaluate.tuned)
    opened = open_base(_folder(base, "base"))
    inputs = Inputs(
        sides=Sides(opened, _folder(adapter, "adapter"), load_plan(recipe)),
        examples=_folder(examples, "examples"),
        adapter_digest=_digest(adapter, "*"),
        examples_digest=_digest(examples, EXAMPLES_NAME, f"{ROWS_NAME}/**/*"),
    )

    def between() -> None:
        if stop.requested:
            raise Interrupted(
                ErrorCode.INTERRUPTED,
                f"stopped while comparing ({stop.reason}); what was measured is kept in {output}",
                "go on with the same command",
            )

    comparison = Comparison(inputs, recipe.evaluate.tuned, output, Surroundings(bus, between), seed=recipe.seed)
    report = comparison.run()
    parents = {"base": opened.identity.digest, "adapter": inputs.adapter_digest, "examples": inputs.examples_digest}
    write_manifest(output, KIND, parents=parents, facts=facts_of(report))
    return report


def _folder(path: Path, what: str) -> Path:
    if not path.is_dir():
        raise DataError(
            ErrorCode.DATA_NOT_FOUND,
            f"there is no folder {path} with the {what}",
            f"give --{what} the folder that holds it",
            details={"path": str(path)},
        )
    return path


def _digest(folder: Path, *patterns: str) -> str:
    """By its manifest, proven; without one by the bytes of its files."""
    if (folder / MANIFEST_NAME).is_file():
        return verify(folder).digest
    files = sorted({path for pattern in patterns for path in folder.glob(pattern) if path.is_file()})
    return digest_json({path.relative_to(folder).as_posix(): digest_file(path) for path in files})
