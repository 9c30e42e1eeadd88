"""A job on a run whose folders are in the store only has them brought back first."""

import shutil

import pytest

from loquela.artifacts.store.opening import open_place
from loquela.artifacts.store.places import StorePlace
from loquela.core.errors import DataError
from loquela.runs.stored.cleaning import clean_run
from loquela.runs.stored.packing import store_run
from loquela.worker.folders import JobRequest, job_folder
from loquela.worker.performers.on_run import on_run
from stored_runs import everything, make_run


def test_a_job_finds_a_cleaned_run_whole(tmp_path):
    run = make_run(tmp_path)
    before = everything(run)
    store = open_place(StorePlace(), tmp_path)
    store_run(run, store, StorePlace(), at=1.0)
    clean_run(run, store, dry_run=False)
    request = JobRequest(job_id="evaluate-1", kind="evaluate", run_id="tiny-1", data=tmp_path, spec={})
    job_folder(tmp_path, "evaluate-1").mkdir(parents=True)
    with on_run(request) as job:
        assert everything(job.folder) == before
    clean_run(run, store, dry_run=False)
    shutil.rmtree(tmp_path / "artifacts" / "sha256")
    with pytest.raises(DataError, match="has no tarball"), on_run(request):
        pass
