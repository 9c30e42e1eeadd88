"""What a package is made of: the artifacts of a run and the records beside them."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from pydantic import JsonValue, TypeAdapter, ValidationError

from loquela.artifacts.base import read_base
from loquela.artifacts.examples_ledger import ExamplesLedger, read_examples_ledger
from loquela.artifacts.manifest import Manifest, corrupt, read_manifest
from loquela.artifacts.proof import Proof
from loquela.finetuning.packaging.places import Places
from loquela.recipe.finetune_section import FinetuneSection

RUN_MANIFEST_NAME = "manifest.json"
RECIPE_NAME = "recipe.yaml"
TRAINING_METRICS_NAME = "training_metrics.json"
PREFLIGHT_NAME = "preflight.json"
EFFECTIVE_NAME = "effective_settings.json"
LEDGER_NAME = "ledger.json"
EVALUATION_SOURCE = "metrics.json"

# A value in quotes, or the comment that names the file which a value came from.
_FOLDER_IN_RECIPE = re.compile(r'"(~?/[^"\n]*)"|# file: (~?/.+):\d+$', re.MULTILINE)

_OBJECT: TypeAdapter[dict[str, JsonValue]] = TypeAdapter(dict[str, JsonValue])
_PROOFS: TypeAdapter[list[Proof]] = TypeAdapter(list[Proof])


@dataclass(frozen=True)
class PackageSources:
    """Folders by role: base, examples and adapter always; comparison, merged and qa where the run made them."""

    name: str
    run: Path
    section: FinetuneSection
    folders: dict[str, Path]
    manifests: dict[str, Manifest] = field(init=False)

    def __post_init__(self) -> None:
        manifests = {role: read_manifest(folder) for role, folder in self.folders.items()}
        object.__setattr__(self, "manifests", manifests)

    @property
    def adapter(self) -> Path:
        """The adapter's folder."""
        return self.folders["adapter"]

    @cached_property
    def places(self) -> Places:
        """What takes this machine's folders out of records."""
        base, recipe = read_base(self.folders["base"]), self.run / RECIPE_NAME
        text = recipe.read_text(encoding="utf-8") if recipe.is_file() else ""
        named = [found[1] or found[2] for found in _FOLDER_IN_RECIPE.finditer(text)]
        output = str(self.run.absolute().parents[1])
        return Places([output, str(Path.cwd()), str(Path.home()), base.source, base.location, *named])

    @property
    def parents(self) -> dict[str, str]:
        """Role → digest, as the package's manifest keeps them."""
        return {role: manifest.digest for role, manifest in self.manifests.items()}

    def proofs(self) -> list[Proof]:
        """All proofs of the run; DataError(CORRUPTION) for a preflight.json that cannot be read."""
        try:
            return _PROOFS.validate_json((self.run / PREFLIGHT_NAME).read_bytes())
        except (OSError, ValidationError) as error:
            raise corrupt(self.run, f"{PREFLIGHT_NAME} cannot be read as the proofs of a run") from error

    def effective_settings(self) -> dict[str, JsonValue]:
        """Recipe key → what held, of the settings that the machine decides about."""
        record = read_object(self.run / EFFECTIVE_NAME)
        return {key: entry.get("effective") for key, entry in record.items() if isinstance(entry, dict)}

    def ledger(self) -> ExamplesLedger | None:
        """Counts of the examples; None where they have no ledger."""
        folder = self.folders["examples"]
        return read_examples_ledger(folder) if (folder / LEDGER_NAME).is_file() else None

    def run_facts(self, key: str) -> dict[str, JsonValue]:
        """`versions`, `hardware` or `git` of the run's manifest; empty where it has none."""
        value = read_object(self.run / RUN_MANIFEST_NAME).get(key)
        return value if isinstance(value, dict) else {}

    def evaluation(self) -> dict[str, JsonValue]:
        """The comparison of base and adapter; empty where the run has none."""
        folder = self.folders.get("comparison")
        return {} if folder is None else read_object(folder / EVALUATION_SOURCE)


def read_object(path: Path) -> dict[str, JsonValue]:
    """The JSON object in a file, empty where there is none; DataError(CORRUPTION) for anything else."""
    if not path.is_file():
        return {}
    try:
        return _OBJECT.validate_python(json.loads(path.read_bytes()))
    except (OSError, ValueError) as error:
        raise corrupt(path.parent, f"{path.name} cannot be read as JSON") from error
