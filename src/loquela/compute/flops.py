"""Share of a device's peak that training uses (MFU), only where the peak is known.

A wrong peak makes a wrong share that looks right, so an unknown device has none: tokens per second always tell.
"""

from __future__ import annotations

from typing import Literal

from loquela.core.model import BoundaryModel

Precision = Literal["fp32", "bf16", "fp16"]


class Peak(BoundaryModel):
    """Dense (not sparse) peak in TFLOP/s from the maker's data sheet; None where the device lacks the type."""

    name_part: str
    bf16: float | None
    fp16: float | None
    fp32: float | None
    source: str


def _peak(name_part: str, bf16: float | None, fp16: float, fp32: float, source: str) -> Peak:
    return Peak(name_part=name_part, bf16=bf16, fp16=fp16, fp32=fp32, source=source)


# fp32 is the peak without TF32, which Loquela leaves off. The first entry whose name part is in the device's name
# counts: variants with other clocks stand before their family.
PEAKS = (
    _peak("H100 PCIe", 756.0, 756.0, 51.0, "NVIDIA H100 data sheet, PCIe column, sparse figures halved"),
    _peak("H100 NVL", 835.0, 835.0, 60.0, "NVIDIA H100 NVL data sheet, sparse figures halved"),
    _peak("H100 80GB HBM3", 989.4, 989.4, 66.9, "NVIDIA H100 data sheet, SXM column, sparse figures halved"),
    _peak("H200 NVL", 835.0, 835.0, 60.0, "NVIDIA H200 data sheet, NVL column, sparse figures halved"),
    _peak("H200", 989.4, 989.4, 66.9, "NVIDIA H200 data sheet, SXM column, sparse figures halved"),
    _peak("B200", 2250.0, 2250.0, 75.0, "NVIDIA HGX B200 data sheet, sparse figures halved"),
    _peak("A100", 312.0, 312.0, 19.5, "NVIDIA A100 data sheet"),
    _peak("RTX A4000", 76.7, 76.7, 19.2, "NVIDIA RTX A4000 data sheet, sparse figures halved"),
    _peak("RTX A5000", 111.1, 111.1, 27.8, "NVIDIA RTX A5000 data sheet, sparse figures halved"),
    _peak("RTX A6000", 154.8, 154.8, 38.7, "NVIDIA RTX A6000 data sheet, sparse figures halved"),
    _peak("RTX 4090", 165.2, 165.2, 82.6, "NVIDIA Ada architecture paper, dense with fp32 accumulation"),
    _peak("NVIDIA L40S", 362.0, 362.0, 91.6, "NVIDIA L40S data sheet, sparse figures halved"),
    _peak("NVIDIA L40", 181.0, 181.0, 90.5, "NVIDIA L40 data sheet, sparse figures halved"),
    _peak("NVIDIA L4", 121.0, 121.0, 30.3, "NVIDIA L4 data sheet, sparse figures halved"),
    _peak("A40", 149.7, 149.7, 37.4, "NVIDIA A40 data sheet"),
    _peak("A10G", 70.0, 70.0, 35.0, "NVIDIA A10G product brief"),
    _peak("V100-SXM2", None, 125.0, 15.7, "NVIDIA V100 data sheet, SXM2 column"),
    _peak("Tesla T4", None, 65.0, 8.1, "NVIDIA T4 data sheet"),
)


def peak_flops_per_second(device_name: str, precision: Precision) -> float | None:
    """Dense peak of the device called `device_name` by its driver, None when the table does not know it."""
    for peak in PEAKS:
        if peak.name_part in device_name:
            rate = {"bf16": peak.bf16, "fp16": peak.fp16, "fp32": peak.fp32}[precision]
            return None if rate is None else rate * 1e12
    return None


def utilization(
    tokens_per_second: float, flops_per_token: float, peak_per_second: float | None, devices: int = 1
) -> float | None:
    """Model FLOPs utilisation, 0..1, of `devices` equal devices; None without a known peak.

    `peak_per_second` is `peak_flops_per_second` of a GPU, or the matrix speed that `probe_cpu` measured.
    """
    if not peak_per_second:
        return None
    return tokens_per_second * flops_per_token / (peak_per_second * devices)
