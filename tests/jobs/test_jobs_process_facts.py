"""Which process lives: told by the kernel, whoever sets the machine's clock."""

import subprocess
import sys
import time

import psutil
import pytest

from loquela.jobs import process_facts
from loquela.jobs.process_facts import host_name, is_alive, worker_name


@pytest.fixture
def child():
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    yield process
    process.kill()
    process.wait()


def name_of(pid):
    return f"{host_name()}:{pid}:{process_facts._found(pid)[0]}"


def test_a_process_lives_until_it_dies_also_before_anybody_has_waited_for_it(child):
    name = name_of(child.pid)
    assert is_alive(name) and is_alive(worker_name())
    child.kill()
    while psutil.Process(child.pid).status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.01)
    assert not is_alive(name)
    child.wait()
    assert not is_alive(name)


def test_another_process_of_the_same_number_is_another(child):
    host, pid, started = name_of(child.pid).rsplit(":", 2)
    assert not is_alive(f"{host}:{pid}:{int(started) - 1}")


def test_a_clock_that_is_set_kills_nobody(child, monkeypatch):
    """psutil counts from the time at which the machine was started, which is another one after that."""
    name, real = name_of(child.pid), psutil.boot_time()
    monkeypatch.setattr(psutil, "boot_time", lambda: real - 31_536_000)
    monkeypatch.setattr(psutil.Process, "create_time", lambda self, **options: real + 3600)
    assert is_alive(name)
    assert name_of(child.pid) == name
