"""What counts as the same tokens: equal, or a unigram's equally likely pieces, or only without a byte-order mark."""

from __future__ import annotations

import pytest

from loquela.export.contracts import LogitParity, TokenParity
from loquela.export.parity.judge import failures
from loquela.export.parity.tokens import judge
from loquela.recipe.export_section import ExportSection
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
        assert judge(handles[method], text, ids) == "equal"
        assert judge(handles[method], text, ids[::-1]) == verdict
        assert judge(handles[method], text, ids[:-1]) == "different"


@pytest.mark.parametrize("method", ["bpe", "unigram"])
def test_only_a_mark_at_the_start_may_be_missing(handles, method):
    handle = handles[method]
    assert judge(handle, "\ufefffox", handle.encode("fox")) == "unmarked"
    assert judge(handle, "fox\ufeff", handle.encode("fox")) == "different"
    assert judge(handle, "\ufefffox", handle.encode("ox")) == "different"


def test_one_text_in_other_tokens_fails_an_export():
    limits = ExportSection().limits
    fine = TokenParity(own=True, strings=200, equal=193, reordered=6, unmarked=1)
    assert failures(LOGITS, fine, None, limits, 0.1) == []
    wrong = TokenParity(own=True, strings=200, equal=193, reordered=6, first_difference="x")
    assert failures(LOGITS, wrong, None, limits, 0.1) == ["1 of 200 texts are cut into other tokens, the first is 'x'"]
