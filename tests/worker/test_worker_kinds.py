"""What a worker can do, by the kind of a job."""

import pytest

from loquela.core.errors import ErrorCode, RecipeError
from loquela.worker.kinds import PERFORMERS, performer_of
from loquela.worker.performers.run import perform


def test_a_run_is_performed():
    assert performer_of("run") is perform


@pytest.mark.parametrize("kind", ["generate", "", "RUN"])
def test_a_kind_that_workers_do_not_know(kind):
    with pytest.raises(RecipeError, match=f"no job of kind '{kind}' can be done here") as caught:
        performer_of(kind)
    assert caught.value.code is ErrorCode.NOT_REGISTERED
    assert all(known in caught.value.remedy for known in PERFORMERS)
