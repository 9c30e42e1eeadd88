"""Who lends a run its processors: asked by whatever starts processes or promises threads."""

from __future__ import annotations

from typing import Literal, Protocol

from loquela.compute.threads import threads_per_process
from loquela.recipe.schema import ComputeSection


class ComputeProvider(Protocol):
    """A place to compute."""

    def kind(self) -> Literal["local-cpu", "cloud"]:
        """Whether processes run on this machine's processors (with or without a GPU) or elsewhere."""

    def threads(self) -> int:
        """Threads of each process."""

    def env(self) -> dict[str, str]:
        """Environment variables for each process."""


class LocalProvider:
    """This machine, as the recipe's compute section wants it used."""

    def __init__(self, section: ComputeSection) -> None:
        self._section = section

    def kind(self) -> Literal["local-cpu", "cloud"]:
        """Always `local-cpu`."""
        return "local-cpu"

    def threads(self) -> int:
        """The recipe's, else the physical cores shared by the processes."""
        return self._section.threads or threads_per_process(self._section.processes)

    def env(self) -> dict[str, str]:
        """What OpenMP and MKL read when a process starts, so that processes do not begin with all cores each."""
        threads = str(self.threads())
        return {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
