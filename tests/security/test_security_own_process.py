"""Nothing that a process of the service writes is for others, and a crash leaves no memory on disk."""

import subprocess
import sys

SAYS = """
import os, resource, subprocess, sys
from loquela.security.own_process import keep_private
keep_private()
open(sys.argv[1], "w").close()
os.mkdir(sys.argv[2])
asked = "import resource; print(resource.getrlimit(resource.RLIMIT_CORE))"
print(subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True).stdout.strip())
"""


def test_new_files_are_the_owners_and_no_core_is_dumped(tmp_path):
    file, folder = tmp_path / "f", tmp_path / "d"
    done = subprocess.run([sys.executable, "-c", SAYS, file, folder], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "(0, 0)"
    assert (file.stat().st_mode & 0o777, folder.stat().st_mode & 0o777) == (0o600, 0o700)
