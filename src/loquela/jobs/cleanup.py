"""What may go: folders of runs that are stored, caches of data, tokenizers nobody uses, tarballs that nothing names."""

from __future__ import annotations

import shutil
from typing import Literal

from loquela.artifacts.folders import remove_folder
from loquela.artifacts.store.contract import Blob
from loquela.core.errors import ErrorCode, LoquelaError
from loquela.core.model import BoundaryModel
from loquela.jobs.archivist import Archivist
from loquela.jobs.artifacts import Artifact
from loquela.jobs.audit import AuditLog
from loquela.jobs.clock import Clock
from loquela.jobs.data_caches import CacheEntry, cached, in_use, unused_tokenizers
from loquela.jobs.settings import ServiceSettings
from loquela.jobs.turns import STORING, alone
from loquela.runs.status import Phase, load_status
from loquela.runs.stored.cleaning import clean_run
from loquela.runs.stored.pointer import last_used, read_pointer

ACTION = "artifacts.clean_up"
DAY_SECONDS = 86_400.0
# A tarball that nothing names may still be on its way: from a copy of the database, say, that is not in use yet.
UNNAMED_SECONDS = DAY_SECONDS


What = Literal["run", "corpus_cache", "tokenizer", "tarball"]


class Removal(BoundaryModel):
    """What a clean-up removed, would remove, or could not."""

    what: What
    id: str
    outcome: Literal["completed", "dry_run", "failed"]
    path: str
    bytes_freed: int = 0
    files_deleted: int = 0
    message: str = ""


class CleanUp:
    """One pass at a time; everything that it removes is in the store, or can be made again, or is used by nobody."""

    def __init__(self, settings: ServiceSettings, archivist: Archivist, clock: Clock, audit: AuditLog) -> None:
        self._settings = settings
        self._archivist = archivist
        self._clock = clock
        self._audit = audit
        self._told: set[str] = set()

    def all(self, *, dry_run: bool) -> list[Removal]:
        """Everything that the settings allow. What cannot be removed is told, and nothing else is kept from going."""
        return [
            *self.runs(dry_run=dry_run),
            *self.caches(dry_run=dry_run),
            *self.tokenizers(dry_run=dry_run),
            *self.tarballs(dry_run=dry_run),
        ]

    def runs(self, *, dry_run: bool) -> list[Removal]:
        """Heavy folders of complete runs that were stored, and last needed, before the grace period.

        With `cleanup_min_free_bytes` only as long as less than that is free.
        """
        before = self._clock.now() - self._settings.cleanup_grace_period_seconds
        found: list[Removal] = []
        freed = 0
        for artifact in self._archivist.rows.cleanable(before):
            if self._enough_free(self._settings.cleanup_min_free_bytes, freed):
                break
            removal = self._run(artifact, before, dry_run)
            if removal is not None:
                freed += removal.bytes_freed if dry_run else 0
                found.append(removal)
        return found

    def caches(self, *, dry_run: bool) -> list[Removal]:
        """Of corpora, examples and shards those not used for longest, while they are too large or too little is free.

        What a run that is not complete may still read stays.
        """
        most, least = self._settings.corpus_cache_max_bytes, self._settings.corpus_cache_min_free_bytes
        entries = cached(self._settings.data)
        total, freed = sum(entry.size_bytes for entry in entries), 0
        used = in_use(self._settings.data) if most is not None or least is not None else {}
        found = []
        for entry in sorted(entries, key=lambda each: max(each.made_at, used.get(each.name, 0.0))):
            too_large = most is not None and total > most
            too_full = least is not None and not self._enough_free(least, freed)
            if not (too_large or too_full):
                break
            if used.get(entry.name) == float("inf"):
                continue
            total -= entry.size_bytes
            freed += entry.size_bytes if dry_run else 0
            found.append(self._entry("corpus_cache", entry, dry_run))
        return found

    def tokenizers(self, *, dry_run: bool) -> list[Removal]:
        """Tokenizers that no model was made with, `tokenizer_min_unused_days` after they were made."""
        days = self._settings.tokenizer_min_unused_days
        if days is None:
            return []
        before = self._clock.now() - days * DAY_SECONDS
        unused = [entry for entry in unused_tokenizers(self._settings.data) if entry.made_at <= before]
        return [self._entry("tokenizer", entry, dry_run) for entry in unused]

    def tarballs(self, *, dry_run: bool) -> list[Removal]:
        """Tarballs of the store in use that neither a row nor a pointer names, a day after they were written.

        A kill between two versions of a run leaves such. Nothing goes while somebody stores a run, nor from a store
        that somebody else uses too: what nobody here names may be theirs.
        """
        with alone(self._settings.data, STORING) as nobody_stores:
            return self._unnamed(dry_run) if nobody_stores else []

    def _unnamed(self, dry_run: bool) -> list[Removal]:
        archivist, store = self._archivist, self._archivist.store
        try:
            users = store.users()
            if not users:
                return []
            if users != {archivist.rows.mark()}:
                return [self._tell(self._of_others(store.address), None)]
            named = archivist.rows.named() | archivist.pointed()
            before = self._clock.now() - UNNAMED_SECONDS
            blobs = sorted(store.blobs(), key=lambda blob: (blob.at, blob.sha256))
            return [self._tarball(blob, dry_run) for blob in blobs if blob.sha256 not in named and blob.at <= before]
        except LoquelaError as error:
            if error.code is ErrorCode.PERSISTENCE_FAILED:
                raise
            failed = Removal(what="tarball", id="", outcome="failed", path=store.address, message=error.message)
            return [self._tell(failed, None)]

    def _of_others(self, address: str) -> Removal:
        return Removal(
            what="tarball",
            id="",
            outcome="failed",
            path=address,
            message="another service keeps tarballs in the same place, so that what nothing here names may be its: "
            "give each a prefix of its own",
        )

    def _tarball(self, blob: Blob, dry_run: bool) -> Removal:
        store = self._archivist.store
        if not dry_run:
            store.remove(blob.sha256)
        return self._tell(
            Removal(
                what="tarball",
                id=blob.sha256,
                outcome="dry_run" if dry_run else "completed",
                path=store.address,
                bytes_freed=blob.size_bytes,
                files_deleted=1,
            ),
            None,
        )

    def _run(self, artifact: Artifact, before: float, dry_run: bool) -> Removal | None:
        folder = self._archivist.run_folder(artifact.run_id)
        try:
            pointer = read_pointer(folder)
            if pointer is None or pointer.cleaned or last_used(folder) > before:
                return None
            if load_status(folder).current_phase is not Phase.COMPLETE:
                return None
            gone = clean_run(folder, self._archivist.store, dry_run=dry_run)
        except LoquelaError as error:
            if error.code is ErrorCode.RUN_LOCKED:
                return None
            failed = Removal(what="run", id=artifact.run_id, outcome="failed", path=str(folder), message=error.message)
            return self._tell(failed, artifact)
        return self._tell(
            Removal(
                what="run",
                id=artifact.run_id,
                outcome="dry_run" if dry_run else "completed",
                path=str(folder),
                bytes_freed=gone.bytes_freed,
                files_deleted=gone.files_deleted,
            ),
            artifact,
        )

    def _entry(self, what: What, entry: CacheEntry, dry_run: bool) -> Removal:
        def removal(outcome: Literal["completed", "dry_run", "failed"], message: str = "") -> Removal:
            gone = outcome != "failed"
            return Removal(
                what=what,
                id=entry.name,
                outcome=outcome,
                path=str(entry.path),
                bytes_freed=entry.size_bytes if gone else 0,
                files_deleted=entry.files if gone else 0,
                message=message,
            )

        if dry_run:
            return self._tell(removal("dry_run"), None)
        try:
            remove_folder(entry.path)
        except LoquelaError as error:
            return self._tell(removal("failed", error.message), None)
        return self._tell(removal("completed"), None)

    def _tell(self, removal: Removal, artifact: Artifact | None) -> Removal:
        """An event for it, and an entry in the audit log for what is gone; what only might go is told once."""
        data = removal.model_dump(mode="json", exclude={"outcome"})
        if removal.outcome == "completed":
            self._audit.note(ACTION, f"{removal.what} {removal.id}", details={"bytes_freed": removal.bytes_freed})
        elif removal.model_dump_json() in self._told:
            return removal
        self._told.add(removal.model_dump_json())
        self._archivist.rows.cleaned(artifact, removal.outcome, data)
        return removal

    def _enough_free(self, least: int | None, freed: int) -> bool:
        return least is not None and shutil.disk_usage(self._settings.data).free + freed >= least
