"""One piece of work: a function, its arguments, and the folder that it fills.

A task is done when its folder holds a manifest made with the same function, version, arguments and inputs. What a
dead process left half-written has no manifest and does not count; done work is never done again.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pydantic import Field, JsonValue

from loquela.artifacts.folders import whole_folder
from loquela.artifacts.manifest import Manifest, read_manifest, verify, write_manifest
from loquela.core.entry import resolve
from loquela.core.errors import DataError
from loquela.core.model import BoundaryModel

KIND = "task"
Arguments = dict[str, JsonValue]
# Arguments, the folder to fill, and what to call between two steps (it may raise to stop) → facts for the manifest.
TaskFunction = Callable[[Arguments, Path, Callable[[], None]], Arguments]


class Task(BoundaryModel):
    """`entry` is the "module:function" of a TaskFunction whose result depends on nothing but what is named here.

    `inputs` are digests of what the function reads besides its arguments, `version` grows when the function would
    make something else than before; `name` is for people.
    """

    name: str
    entry: str
    version: int = 1
    arguments: Arguments = Field(default_factory=dict)
    inputs: dict[str, str] = Field(default_factory=dict)
    place: Path

    def settings(self) -> Arguments:
        """Everything that decides what the task makes."""
        return {"entry": self.entry, "version": self.version, "arguments": self.arguments, "inputs": {**self.inputs}}

    def done(self) -> Manifest | None:
        """The manifest of the finished task by what it says of itself; None when there is none of these settings."""
        try:
            manifest = read_manifest(self.place, KIND)
        except DataError:
            return None
        return manifest if manifest.settings == self.settings() else None

    def proven(self) -> Manifest | None:
        """The same after every file was hashed."""
        if self.done() is None:
            return None
        try:
            return verify(self.place, KIND)
        except DataError:
            return None

    def perform(self, between: Callable[[], None] = lambda: None) -> Manifest:
        """Do the work and publish the folder by one rename; errors are the function's own."""
        function: TaskFunction = resolve(self.entry)
        with whole_folder(self.place) as temporary:
            facts = function(self.arguments, temporary, between)
            return write_manifest(temporary, KIND, settings=self.settings(), facts=facts)
