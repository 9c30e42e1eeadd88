"""The adapter to llama.cpp's C interface refuses a library that is not the one it was written for."""

from __future__ import annotations

import ctypes.util
from pathlib import Path

import pytest

pytest.importorskip("xllamacpp", reason="the package xllamacpp is not installed")

from loquela.core.errors import ErrorCode, ResourceError
from loquela.inference.runtimes import llama_library as adapter


def test_a_library_without_llama_cpp_s_functions_is_refused():
    name = ctypes.util.find_library("c")
    if name is None:
        pytest.skip("no C library to open instead")
    with pytest.raises(ResourceError, match="is not one that Loquela can talk to: it has no function llama_") as caught:
        adapter.LlamaLibrary(Path(name))
    assert caught.value.code == ErrorCode.INSUFFICIENT_RESOURCES
    assert "loquela[serve]" in caught.value.remedy


@pytest.mark.parametrize("defaults", ["MODEL_DEFAULTS", "CONTEXT_DEFAULTS"])
def test_structures_that_moved_are_seen_by_their_defaults(monkeypatch, defaults):
    library = adapter.llama_library()
    field, value = list(getattr(adapter, defaults).items())[-1]
    monkeypatch.setitem(getattr(adapter, defaults), field, not value)
    with pytest.raises(ResourceError, match=f"its default of {field} is {value}, not {not value}"):
        adapter.LlamaLibrary(Path(library.functions._name))


def test_a_wheel_without_a_library_is_refused(monkeypatch, tmp_path):
    spec = type("Spec", (), {"submodule_search_locations": [str(tmp_path)]})()
    monkeypatch.setattr(adapter, "find_spec", lambda name: spec)
    with pytest.raises(ResourceError, match="its wheel holds no library"):
        adapter.llama_library.__wrapped__()


def test_a_package_that_is_not_installed_is_named_with_the_line_that_installs_it(monkeypatch):
    monkeypatch.setattr(adapter, "find_spec", lambda name: None)
    with pytest.raises(ResourceError, match="running a gguf model needs the package xllamacpp") as caught:
        adapter.llama_library.__wrapped__()
    assert caught.value.code == ErrorCode.MISSING_EXTRA
    assert caught.value.remedy == 'pip install "loquela[serve]"'
