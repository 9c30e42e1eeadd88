"""A second process on the same run is refused; a dead one leaves no lock behind."""

import subprocess
import sys
from pathlib import Path

import pytest

from loquela.core.errors import ErrorCode, ResourceError
from loquela.runs.lock import RunLock, is_locked

HOLD = """
import sys, time
from pathlib import Path
from loquela.runs.lock import RunLock
with RunLock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_process_is_refused_until_the_first_dies(tmp_path: Path) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        assert is_locked(tmp_path)
        with (
            pytest.raises(ResourceError, match=f'another process works on .*"pid": {holder.pid}') as caught,
            RunLock(tmp_path),
        ):
            pass
        assert caught.value.code is ErrorCode.RUN_LOCKED
        assert caught.value.retryable
    finally:
        holder.kill()
        holder.wait()
    assert not is_locked(tmp_path)
    with RunLock(tmp_path):
        assert is_locked(tmp_path)


def test_no_permission_is_typed(tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match="writing .* failed"), RunLock(tmp_path / "absent"):
        pass
