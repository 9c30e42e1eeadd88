"""What counts as the same tokens: equal, or a unigram's equally likely pieces, or only without a byte-order mark."""

from __future__ import annotations

import json

import pytest

from loquela.export.contracts import LogitParity, TokenParity
from loquela.export.parity.judge import failures
from loquela.export.parity.tokens import judge
from loquela.recipe.export_section import ExportSection
from loquela.tokenizers.load import load_tokenizer
from toy_run import make_tokenizer

LOGITS = LogitParity(
    text="t", tokens=1, max_logit_difference=0, mean_kl=0, max_kl=0, top1_agreement=1, reference_loss=1, loss=1,
    reference_bits_per_byte=1, bits_per_byte=1,
)  # fmt: skip


@pytest.fixture(scope="module")
def handles(tmp_path_factory):
    folder = tmp_path_factory.mktemp("handles")
    return {method: make_tokenizer(folder / method, method, size) for method, size in (("bpe", 300), ("unigram", 420))}


def test_the_order_of_equally_likely_pieces_is_free_for_unigram_alone(handles):
    text = "the old fox"
    for method, verdict in (("bpe", "different"), ("unigram", "reordered")):
        ids = handles[method].encode(text)
        assert judge(handles[method], text, lambda _, ids=ids: ids) == "equal"
        assert judge(handles[method], text, lambda _, ids=ids: ids[::-1]) == verdict
        assert judge(handles[method], text, lambda _, ids=ids: ids[:-1]) == "different"


@pytest.mark.parametrize("method", ["bpe", "unigram"])
def test_only_a_mark_at_the_start_may_be_missing(handles, method):
    handle = handles[method]
    assert judge(handle, "\ufefffox", lambda _: handle.encode("fox")) == "unmarked"
    assert judge(handle, "fox\ufeff", lambda _: handle.encode("fox")) == "different"
    assert judge(handle, "\ufefffox", lambda _: handle.encode("ox")) == "different"


def test_composing_a_text_may_be_left_to_the_caller_by_tokenizers_that_compose(handles, tmp_path):
    make_tokenizer(tmp_path / "composing", "bpe", 300)
    path = tmp_path / "composing" / "tokenizer.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"normalizer": {"type": "NFC"}}))
    (tmp_path / "composing" / "tokenizer_manifest.json").unlink()
    composing, plain = load_tokenizer(tmp_path / "composing"), handles["bpe"].encode
    assert judge(composing, "e\u0301", plain) == "uncomposed"
    assert judge(composing, "\u00e9", plain) == "equal"
    assert judge(handles["bpe"], "e\u0301", composing.encode) == "different"


def test_one_text_in_other_tokens_fails_an_export():
    limits = ExportSection().limits
    fine = TokenParity(own=True, strings=200, equal=193, reordered=6, unmarked=1)
    assert failures(LOGITS, fine, None, limits, 0.1) == []
    wrong = TokenParity(own=True, strings=200, equal=193, reordered=6, first_difference="x")
    assert failures(LOGITS, wrong, None, limits, 0.1) == ["1 of 200 texts are cut into other tokens, the first is 'x'"]
