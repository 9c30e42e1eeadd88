"""Where the audit log ended, kept outside the database: who cuts its end off cannot cut this too."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError

from loquela.core.atomic import write_error, write_text
from loquela.core.errors import DataError, ErrorCode
from loquela.core.model import BoundaryModel


class AnchorFacts(BoundaryModel):
    """The newest entry that was written down here: its number, which is also the count, and its digest."""

    seq: int
    digest: str


class Anchor:
    """A file that only its owner reads."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> AnchorFacts | None:
        """What was written last; None where nothing was. DataError(CORRUPTION) for a file that is no anchor."""
        try:
            return AnchorFacts.model_validate_json(self.path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValidationError) as error:
            raise DataError(
                ErrorCode.CORRUPTION,
                f"the audit log's anchor {self.path.name} cannot be read: it is damaged, or was changed",
                "bring it back from a backup of the data folder; only it shows whether the log's end is whole",
            ) from error

    def write(self, facts: AnchorFacts) -> None:
        """Put `facts` in the place of what is there."""
        write_text(self.path, facts.model_dump_json() + "\n", 0o600)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """One process at a time."""
        lock = self.path.with_suffix(".lock")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with lock.open("w") as held:
                fcntl.flock(held, fcntl.LOCK_EX)
                yield
        except OSError as error:
            raise write_error(error, lock) from error
