"""The ComputeResourceManager: finds devices with enough free memory and proves that they compute."""

from __future__ import annotations

import time
from collections.abc import Callable

import psutil
import torch
from pydantic import JsonValue

from loquela.compute.contracts import (
    AllocatedResource,
    ComputeErrorCode,
    ComputeResourceManagerError,
    ComputeResourceManagerRequest,
    ComputeResourceManagerResult,
)
from loquela.compute.memory import available_memory_bytes
from loquela.core.errors import ErrorCode, ResourceError
from loquela.monitoring.events import Bus, trace

COMPONENT = "ComputeResourceManager"
GIB = 2**30
RETRY_SECONDS = 5
# Small integers multiply exactly in every float type, so a healthy device has one right answer.
HEALTH_SIZE = 64

Inventory = Callable[[int], list[AllocatedResource]]


def allocate(
    request: ComputeResourceManagerRequest, bus: Bus, *, wait_seconds: float = 0.0, inventory: Inventory | None = None
) -> ComputeResourceManagerResult:
    """Devices that meet the request, waiting up to `wait_seconds` for memory that others hold.

    Raises ResourceError: INSUFFICIENT_RESOURCES when the machine can never meet it (or is not waited for),
    ALLOCATION_TIMEOUT when others did not give memory back in time, DEVICE_FAILURE when a device computes wrongly.
    """
    needs = request.resource_requirements
    trace(bus, COMPONENT, "allocation_requested", priority=request.priority, **needs.model_dump())
    look = inventory or devices_present
    end = time.monotonic() + wait_seconds
    while True:
        present = look(needs.gpu_count)
        fitting = [device for device in present if free_gib(device) >= needs.gpu_memory_gb]
        if len(fitting) >= max(1, needs.gpu_count):
            break
        _give_up(request, present, wait_seconds, end)
        time.sleep(min(RETRY_SECONDS, max(0.0, end - time.monotonic())))
    # The emptiest devices first, so that two jobs do not meet on the first one.
    chosen = sorted(fitting, key=lambda device: device.utilization)[: max(1, needs.gpu_count)]
    for device in chosen:
        check_health(device.device_id, bus)
    result = ComputeResourceManagerResult(
        resources=chosen,
        cluster_config={
            "processes": len(chosen) if needs.distributed else 1,
            "backend": "nccl" if needs.gpu_count else "gloo",
        },
    )
    trace(bus, COMPONENT, "resources_allocated", devices=[device.device_id for device in chosen])
    return result


def devices_present(gpu_count: int) -> list[AllocatedResource]:
    """Every CUDA device, or the CPU when no GPU is asked for."""
    if gpu_count == 0:
        total = int(psutil.virtual_memory().total)
        used = min(1.0, max(0.0, 1 - available_memory_bytes() / total))
        return [AllocatedResource(device_id="cpu", type="cpu", memory_gb=total // GIB, utilization=used)]
    found = []
    for index in range(torch.cuda.device_count()):
        free, total = torch.cuda.mem_get_info(index)
        found.append(
            AllocatedResource(
                device_id=f"cuda:{index}", type="gpu", memory_gb=int(total) // GIB, utilization=1 - free / total
            )
        )
    return found


def free_gib(device: AllocatedResource) -> float:
    """Free memory in GiB."""
    return device.memory_gb * (1 - device.utilization)


def check_health(device_id: str, bus: Bus) -> None:
    """Multiply two matrices of small integers on the device; ResourceError(DEVICE_FAILURE) for a wrong product."""
    side = torch.arange(HEALTH_SIZE) % 7
    left, right = side[:, None] + side[None, :], side[:, None] - side[None, :]
    try:
        product = (left.float().to(device_id) @ right.float().to(device_id)).cpu()
    except (RuntimeError, AssertionError) as error:  # the second for a PyTorch that was built without the device
        raise _failure(device_id, str(error).splitlines()[0]) from error
    healthy = torch.equal(product, (left @ right).float())
    trace(bus, COMPONENT, "health_check", device_id=device_id, healthy=healthy)
    if not healthy:
        raise _failure(device_id, "a product of small integers came out wrong")


def error_of(error: ResourceError) -> ComputeResourceManagerError:
    """The component's error model for an error of `allocate` or `find_device`."""
    codes: dict[ErrorCode, ComputeErrorCode] = {
        ErrorCode.ALLOCATION_TIMEOUT: "ALLOCATION_TIMEOUT",
        ErrorCode.DEVICE_FAILURE: "DEVICE_FAILURE",
    }
    return ComputeResourceManagerError(
        error_code=codes.get(error.code, "INSUFFICIENT_RESOURCES"),
        available_resources=error.details,
        retry_after_seconds=RETRY_SECONDS if error.retryable else 0,
    )


def _give_up(
    request: ComputeResourceManagerRequest, present: list[AllocatedResource], wait_seconds: float, end: float
) -> None:
    """Raise unless waiting may still help."""
    needs = request.resource_requirements
    wanted = max(1, needs.gpu_count)
    kind = "GPU" if needs.gpu_count else "CPU"
    details: dict[str, JsonValue] = {"devices": [device.model_dump() for device in present]}
    ever = sum(device.memory_gb >= needs.gpu_memory_gb for device in present) >= wanted
    found = ", ".join(f"{d.device_id} with {free_gib(d):.1f} of {d.memory_gb} GiB free" for d in present) or "none"
    message = f"{wanted} {kind}(s) with {needs.gpu_memory_gb} GiB free are needed, and there is: {found}"
    if not ever or wait_seconds == 0:
        raise ResourceError(
            ErrorCode.INSUFFICIENT_RESOURCES,
            message,
            "ask for less (gpu_count, gpu_memory_gb), or free the memory that other programs hold",
            retryable=ever,
            details=details,
        )
    if time.monotonic() >= end:
        raise ResourceError(
            ErrorCode.ALLOCATION_TIMEOUT,
            f"{message}; waited {wait_seconds:.0f} s",
            "wait longer, or stop the programs that hold the memory",
            retryable=True,
            details=details,
        )


def _failure(device_id: str, why: str) -> ResourceError:
    return ResourceError(
        ErrorCode.DEVICE_FAILURE,
        f"{device_id} failed its health check: {why}",
        "use another device (compute.device), and have this one examined: its results cannot be trusted",
        details={"device_id": device_id},
    )
