"""This machine as a provider of threads."""

from loquela.compute.provider import ComputeProvider, LocalProvider
from loquela.recipe.schema import ComputeSection


def test_threads_of_the_recipe_or_shared_cores(monkeypatch):
    monkeypatch.setattr("loquela.compute.threads.usable_cores", lambda: 8)
    shared: ComputeProvider = LocalProvider(ComputeSection(processes=3))
    assert shared.kind() == "local-cpu"
    assert shared.threads() == 2
    assert shared.env() == {"OMP_NUM_THREADS": "2", "MKL_NUM_THREADS": "2"}
    assert LocalProvider(ComputeSection(threads=5, processes=3)).threads() == 5
