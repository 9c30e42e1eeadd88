"""An adapter's folder → the adapter on the base that it was trained on, stored as it was then."""

from __future__ import annotations

from pathlib import Path

from pydantic import JsonValue, ValidationError

from loquela.artifacts.base import BASE_NAME, KIND, Base, base_location, read_base, verify_base
from loquela.artifacts.manifest import MANIFEST_NAME, corrupt, read_manifest
from loquela.core.errors import DataError, ErrorCode
from loquela.core.model import BoundaryModel
from loquela.models.pretrained.adapters import AdaptedModel, attach_saved
from loquela.models.pretrained.failures import unusable_adapter
from loquela.models.pretrained.load import DtypeName, QuantizationPlan, load_base_model

QUANTIZATION_FACT = "quantization"


class RecordedQuantization(BoundaryModel):
    """The fact `quantization` of an adapter's manifest: how its base was stored while it learnt."""

    kind: str
    compute: DtypeName
    double: bool = True


def load_adapted(folder: Path, *, device: str = "cpu") -> AdaptedModel:
    """The adapter in `folder` on its base, in float32, quantised where the base was while the adapter learnt.

    Raises DataError: DATA_NOT_FOUND when the base is nowhere, DATA_CHANGED when it is not what it was, CORRUPTION, and
    what `load_base_model` and `attach_saved` find.
    """
    base = base_of(folder)
    facts = read_manifest(folder).facts if (folder / MANIFEST_NAME).is_file() else {}
    plan = recorded_quantization(folder, facts.get(QUANTIZATION_FACT))
    return attach_saved(load_base_model(base, quantization=plan, device=device), folder)


def base_of(folder: Path) -> Base:
    """The base that the adapter in `folder` was trained on, proven: where it lay then, else among its run's artifacts.

    Errors as of `load_adapted`.
    """
    if not (folder / BASE_NAME).is_file():
        raise unusable_adapter(
            folder, f"it does not say which base it was trained on: it has no {BASE_NAME}", "give a folder of Loquela's"
        )
    identity = read_base(folder)
    place = base_location(folder, identity)
    if place.is_dir():
        verify_base(place, identity)
        return Base(place, identity)
    for artifact in _artifacts(folder):
        found = read_base(artifact)
        if found.digest == identity.digest and base_location(artifact, found).is_dir():
            verify_base(base_location(artifact, found), identity)
            return Base(base_location(artifact, found), identity)
    raise DataError(
        ErrorCode.DATA_NOT_FOUND,
        f"the base of the adapter in {folder}, {identity.source}, is not at {place}",
        "put the base there, or use the merged model",
        details={"path": str(place), "base": identity.digest},
    )


def recorded_quantization(folder: Path, recorded: JsonValue) -> QuantizationPlan | None:
    """How the base was stored while the adapter learnt; DataError(CORRUPTION) for a record that cannot be read."""
    if recorded is None:
        return None
    try:
        found = RecordedQuantization.model_validate(recorded)
    except ValidationError as error:
        raise corrupt(folder, "its manifest does not say how its base was quantised") from error
    for kind in ("nf4", "fp4", "int8"):
        if found.kind == kind:
            return QuantizationPlan(kind, compute=found.compute, double=found.double)
    raise corrupt(folder, f"its manifest names the unknown quantisation {found.kind}")


def _artifacts(folder: Path) -> list[Path]:
    """Bases below the output directory of the run that `folder` lies in."""
    return sorted(
        record.parent
        for parent in folder.resolve().parents[:4]
        for record in parent.glob(f"artifacts/{KIND}/*/{BASE_NAME}")
    )
