"""An export that cannot be is refused before anything is trained, with the export's name and the way out."""

from __future__ import annotations

import re

import pytest

from toy_run import make_tokenizer

pytest.importorskip("xllamacpp", reason="the package xllamacpp is not installed")
pytest.importorskip("gguf", reason="the package gguf is not installed")

from loquela.core.errors import ErrorCode
from loquela.export.preflight import check_exports
from loquela.recipe.schema import Recipe


def proofs(**sections):
    sections.setdefault("export", {"targets": [{"format": "gguf", "quantize": "int8"}]})
    return check_exports(Recipe.model_validate(sections))


def test_the_reference_model_can_be_exported():
    (proof,) = proofs()
    assert (proof.name, proof.passed) == ("export gguf-int8", True)
    assert check_exports(Recipe()) == []


@pytest.mark.parametrize(
    "sections, why",
    [
        ({"model": {"family": "lstm"}}, "llama.cpp computes no LSTM"),
        ({"model": {"qk_norm": True}}, "no architecture with .* and qk_norm"),
        ({"tokenizer": {"method": "char"}}, "no tokenizer of single characters"),
        ({"tokenizer": {"method": "sentencepiece"}}, r"reads U\+2581 as a space"),
    ],
)
def test_what_llama_cpp_cannot_do_is_said_with_the_way_out(sections, why):
    (proof,) = proofs(**sections)
    assert not proof.passed
    assert re.search(why, proof.message)
    assert proof.code == ErrorCode.UNSUPPORTED_FORMAT
    assert proof.remedy


def test_a_tokenizer_that_is_brought_along_is_looked_into(tmp_path):
    folder = tmp_path / "tokenizer"
    make_tokenizer(folder, "bpe", 300)
    path = folder / "tokenizer.json"
    (proof,) = proofs(tokenizer={"model_file": str(path)})
    assert proof.passed
    path.write_text(path.read_text().replace('"use_regex": true', '"use_regex": false'))
    (proof,) = proofs(tokenizer={"model_file": str(path)})
    assert not proof.passed
    assert "knows no pre-tokenizer" in proof.message
    (proof,) = proofs(tokenizer={"model_file": str(tmp_path / "absent.model")})
    assert (proof.passed, proof.code) == (False, ErrorCode.DATA_NOT_FOUND)
