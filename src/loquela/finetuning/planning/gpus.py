"""GPU types: memory, price and speed, from a table with date and source that anyone may replace."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from pydantic import Field, ValidationError

from loquela.compute.flops import peak_flops_per_second
from loquela.core.errors import ErrorCode, RecipeError
from loquela.core.model import BoundaryModel
from loquela.core.near_names import unknown_name

TABLE_NAME = "gpu_prices.json"


class Gpu(BoundaryModel):
    """One type; `name` is SkyPilot's, `device` the driver's."""

    name: str = Field(min_length=1)
    device: str
    memory_gb: float = Field(gt=0, description="GiB on the card")
    usd_per_hour: float = Field(gt=0)
    source: str
    read_on: str

    @property
    def peak(self) -> float | None:
        """Dense bf16 operations per second by the maker's data sheet, None where it is not known."""
        return peak_flops_per_second(self.device, "bf16")


class GpuTable(BoundaryModel):
    """The table, cheapest first or not; `note` is shown with it."""

    currency: str = "USD"
    what: str
    note: str = ""
    gpus: list[Gpu] = Field(min_length=1)

    def named(self, name: str) -> Gpu:
        """The type called `name`; RecipeError(CONFIG_INVALID) with the nearest names when there is none."""
        for gpu in self.gpus:
            if gpu.name.lower() == name.lower():
                return gpu
        raise RecipeError(
            ErrorCode.CONFIG_INVALID,
            unknown_name("GPU type", name, [gpu.name for gpu in self.gpus]),
            "take one of these, or add it to a table of your own: loquela plan RECIPE --prices FILE",
        )


def load_gpus(path: Path | None = None) -> GpuTable:
    """The table at `path`, without one the built-in; RecipeError(CONFIG_INVALID) for one that cannot be read."""
    if path is None:
        text = resources.files("loquela.finetuning.planning").joinpath(TABLE_NAME).read_text(encoding="utf-8")
        return GpuTable.model_validate_json(text)
    try:
        return GpuTable.model_validate_json(path.expanduser().read_bytes())
    except (OSError, ValidationError) as error:
        first = error.errors(include_url=False)[0] if isinstance(error, ValidationError) else None
        place = ".".join(str(part) for part in first["loc"]) if first else ""
        what = f"{place}: {first['msg']}" if first else str(error)
        raise RecipeError(
            ErrorCode.CONFIG_INVALID,
            f"the table of prices {path} cannot be read: {what}",
            "write it like the built-in one, which `loquela plan RECIPE --json` shows under gpu_table",
        ) from error
