"""Memory and CPU limits as the kernel files state them, and the ComputeResourceManager."""

import mmap

import psutil
import pytest

from loquela.compute import resources
from loquela.compute.contracts import AllocatedResource, ComputeResourceManagerRequest, ResourceRequirements
from loquela.compute.memory import available_memory_bytes, cgroup_room_bytes, peak_memory_bytes
from loquela.compute.resources import allocate, error_of
from loquela.compute.threads import cpu_quota, threads_per_process, usable_cores
from loquela.core.errors import ErrorCode, ResourceError
from loquela.monitoring.events import EventBus, SilentBus


def group(tmp_path, path, **files):
    directory = tmp_path / "cgroup" / path
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (directory / name.replace("__", ".")).write_text(text)


@pytest.fixture
def kernel(tmp_path):
    (tmp_path / "self").write_text("0::/jobs/7\n")
    group(tmp_path, ".")
    return tmp_path / "cgroup", tmp_path / "self"


def test_the_tightest_limit_above_the_process_counts(tmp_path, kernel):
    group(tmp_path, "jobs/7", memory__max="max\n", memory__current="100\n")
    group(tmp_path, "jobs", memory__max="1000\n", memory__current="400\n", memory__stat="anon 1\ninactive_file 50\n")
    assert cgroup_room_bytes(*kernel) == 650
    assert available_memory_bytes(*kernel) == 650
    group(tmp_path, "jobs/7", memory__max="500\n")
    assert cgroup_room_bytes(*kernel) == 400


def test_the_older_kernel_files(tmp_path):
    (tmp_path / "self").write_text("5:memory:/box\n4:cpu,cpuacct:/box\n3:pids:/elsewhere\n")
    group(tmp_path, "memory/box", memory__limit_in_bytes="900\n", memory__usage_in_bytes="300\n")
    assert cgroup_room_bytes(tmp_path / "cgroup", tmp_path / "self") == 600
    group(tmp_path, "memory/box", memory__limit_in_bytes=f"{2**63 - 4096}\n")
    assert cgroup_room_bytes(tmp_path / "cgroup", tmp_path / "self") is None


def test_no_limit_leaves_the_machines_memory(tmp_path, kernel):
    assert cgroup_room_bytes(*kernel) is None
    assert available_memory_bytes(*kernel) > 2**20
    assert cgroup_room_bytes(tmp_path / "nothing", tmp_path / "no file") is None


def test_a_cpu_quota_bounds_the_cores(tmp_path, kernel):
    assert cpu_quota(*kernel) is None
    group(tmp_path, "jobs", cpu__max="150000 100000\n")
    group(tmp_path, "jobs/7", cpu__max="max 100000\n")
    assert cpu_quota(*kernel) == 1.5
    assert usable_cores(*kernel) in (1, 2)
    group(tmp_path, "jobs/7", cpu__max="50000 100000\n")
    assert usable_cores(*kernel) == 1
    assert threads_per_process(10_000) == 1


# --- the manager -------------------------------------------------------------------------------------------------


def request(gpus=0, gib=0, **more):
    return ComputeResourceManagerRequest(
        resource_requirements=ResourceRequirements(gpu_count=gpus, gpu_memory_gb=gib), **more
    )


def gpu(index, memory_gb=80, utilization=0.0):
    return AllocatedResource(device_id=f"cuda:{index}", type="gpu", memory_gb=memory_gb, utilization=utilization)


def test_the_cpu_is_allocated_with_the_seeds_trace_points():
    bus, events = EventBus(), []
    bus.subscribe(events.append)
    result = allocate(request(priority="high"), bus)
    assert [event.name.split(".")[1] for event in events] == [
        "allocation_requested",
        "health_check",
        "resources_allocated",
    ]
    assert events[0].data["priority"] == "high"
    assert events[1].data == {"device_id": "cpu", "healthy": True}
    assert [resource.type for resource in result.resources] == ["cpu"]
    assert result.cluster_config == {"processes": 1, "backend": "gloo"}


def test_the_emptiest_gpus_are_taken(monkeypatch):
    checked = []
    monkeypatch.setattr(resources, "check_health", lambda device_id, bus: checked.append(device_id))
    present = [gpu(0, utilization=0.5), gpu(1, utilization=0.9), gpu(2, utilization=0.1)]
    wish = request(gpus=2, gib=40)
    wish.resource_requirements.distributed = True
    result = allocate(wish, SilentBus(), inventory=lambda count: present)
    assert checked == [device.device_id for device in result.resources] == ["cuda:2", "cuda:0"]
    assert result.cluster_config == {"processes": 2, "backend": "nccl"}


def test_too_little_is_said_with_what_is_there():
    with pytest.raises(ResourceError, match=r"2 GPU\(s\) with 40 GiB free are needed, and there is: cuda:0 with") as no:
        allocate(request(gpus=2, gib=40), SilentBus(), inventory=lambda count: [gpu(0)])
    assert no.value.code == ErrorCode.INSUFFICIENT_RESOURCES
    answer = error_of(no.value)
    assert (answer.error_code, answer.retry_after_seconds) == ("INSUFFICIENT_RESOURCES", 0)
    assert answer.available_resources["devices"][0]["device_id"] == "cuda:0"


def test_waiting_for_memory_ends(monkeypatch):
    monkeypatch.setattr(resources, "RETRY_SECONDS", 0.01)
    looks = []

    def busy(count):
        looks.append(count)
        return [gpu(0, utilization=0.9)]

    with pytest.raises(ResourceError, match="waited 0 s") as caught:
        allocate(request(gpus=1, gib=40), SilentBus(), wait_seconds=0.05, inventory=busy)
    assert caught.value.code == ErrorCode.ALLOCATION_TIMEOUT
    assert caught.value.retryable
    assert len(looks) > 1


def test_memory_that_comes_free_is_taken(monkeypatch):
    monkeypatch.setattr(resources, "RETRY_SECONDS", 0.0)
    monkeypatch.setattr(resources, "check_health", lambda device_id, bus: None)
    states = iter([[gpu(0, utilization=0.9)], [gpu(0, utilization=0.2)]])
    result = allocate(request(gpus=1, gib=40), SilentBus(), wait_seconds=5, inventory=lambda count: next(states))
    assert result.resources[0].utilization == 0.2


def test_a_device_that_cannot_compute_is_refused():
    with pytest.raises(ResourceError, match="cuda:99 failed its health check") as caught:
        resources.check_health("cuda:99", SilentBus())
    assert error_of(caught.value).error_code == "DEVICE_FAILURE"


def test_the_peak_remembers_what_was_given_back():
    resident = psutil.Process().memory_info().rss
    size = peak_memory_bytes()  # at least as large as any peak before
    held = mmap.mmap(-1, size)  # not from the allocator, which may keep what is freed
    for page in range(0, size, mmap.PAGESIZE):
        held[page] = 1
    held.close()
    assert peak_memory_bytes() > 0.9 * (resident + size)
    assert psutil.Process().memory_info().rss < resident + 0.5 * size
