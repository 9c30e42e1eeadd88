"""The crash bench, small: a few kills of the whole service, and what must hold."""

import json
import subprocess
import sys
from pathlib import Path

BENCH = Path(__file__).parents[2] / "benchmarks" / "crash.py"


def test_a_few_kills_lose_nothing_and_change_nothing(tmp_path):
    place = tmp_path / "found.json"
    command = [sys.executable, str(BENCH), "--alone", "--kills", "4", "--minutes", "4", "--json", str(place)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=480)
    assert place.is_file(), done.stderr
    found = json.loads(place.read_text())
    assert found["faults"] == [] and done.returncode == 0, found
    assert found["kills"] >= 3 and found["rows_lost"] == 0 < found["rows_acknowledged"]
    assert found["lost_steps_max"] <= found["checkpoint_interval_steps"]
