"""The engine on models whose every probability is known."""

import math

import pytest
import torch

from loquela.core.errors import DataError, RecipeError
from loquela.inference.contracts import GenerateRequest, ScoreRequest, checked_request
from loquela.inference.model_engine import ModelEngine
from loquela.inference.scoring import scoring_windows
from loquela.recipe.schema import NormalizationSection
from toy_language import BigramModel, ByteTokenizer, chain_model, uniform_model

TOKENIZER = ByteTokenizer()


@pytest.fixture
def chain():
    return ModelEngine(chain_model("Hola €~ñd", window=32), TOKENIZER)


@pytest.fixture
def uniform():
    return ModelEngine(uniform_model(260), TOKENIZER)


def test_an_empty_prompt_starts_a_document_and_the_end_token_ends_it(chain):
    result = chain.generate(GenerateRequest(temperature=0))
    assert result.outputs == ["Hola €~ñd"]
    assert result.steps == [len("Hola €~ñd".encode()) + 1]
    assert result.eos_terminated == [True]
    assert result.notes == []


def test_a_prompt_is_continued_and_not_repeated(chain):
    assert chain.generate(GenerateRequest(prompt_text="Hol", temperature=0)).outputs == ["a €~ñd"]


def test_max_new_tokens_ends_a_sequence_without_half_a_character(chain):
    result = chain.generate(GenerateRequest(prompt_text="Hola", max_new_tokens=3, temperature=0))
    assert (result.outputs, result.steps, result.eos_terminated) == ([" "], [3], [False])


def test_going_on_after_the_end_token_when_asked(chain):
    result = chain.generate(GenerateRequest(prompt_text="~", max_new_tokens=7, temperature=0, stop_on_eos=False))
    assert result.outputs == ["ñdHol"]
    assert (result.steps, result.eos_terminated) == ([7], [False])


def test_stop_sequences_cut_across_token_boundaries(chain):
    result = chain.generate(GenerateRequest(temperature=0, stop_sequences=["€~", "zz"]))
    assert result.outputs == ["Hola "]
    assert result.steps == [len("Hola €~".encode())]
    assert result.eos_terminated == [False]


def test_the_stream_is_what_generate_gives(uniform):
    request = GenerateRequest(prompt_text="x", max_new_tokens=50, temperature=1, stop_sequences=["a", "Q"], seed=3)
    pieces = list(uniform.stream(request))
    assert "".join(pieces) == uniform.generate(request).outputs[0]
    assert len(pieces) > 1


def test_only_one_sequence_can_be_streamed(uniform):
    with pytest.raises(RecipeError, match="only one sequence can be streamed, not 2"):
        next(uniform.stream(GenerateRequest(num_return_sequences=2)))


def test_the_seed_decides_each_sequence_alone(uniform):
    torch.manual_seed(0)
    three = uniform.generate(GenerateRequest(prompt_text="x", temperature=1, num_return_sequences=3, seed=11))
    torch.manual_seed(99)
    again = uniform.generate(GenerateRequest(prompt_text="x", temperature=1, num_return_sequences=3, seed=11))
    second = uniform.generate(GenerateRequest(prompt_text="x", temperature=1, seed=12))
    assert three == again
    assert len(set(three.outputs)) == 3
    assert second.outputs[0] == three.outputs[1]


def test_the_process_wide_generator_is_left_alone(uniform):
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    uniform.generate(GenerateRequest(temperature=1))
    assert torch.equal(torch.rand(1), expected)


def test_a_long_prompt_is_cut_and_said(chain):
    result = chain.generate(GenerateRequest(prompt_text="q" * 40 + "Hol", temperature=0))
    assert result.outputs == ["a €~ñd"]
    assert result.notes[0] == "the prompt has 43 tokens, the context window 32: the first 11 were cut"


def test_a_full_window_slides_and_says_so(uniform):
    result = uniform.generate(GenerateRequest(prompt_text="x", max_new_tokens=100, temperature=1, stop_on_eos=False))
    assert result.steps == [100]
    assert result.notes == ["the context window (16 tokens) was full and slid: the oldest text was no longer seen"]


@pytest.mark.parametrize("window", [1, 2, 3])
def test_the_smallest_windows_slide_too(window):
    engine = ModelEngine(chain_model("Hola €~ñd", window=window), TOKENIZER)
    assert engine.generate(GenerateRequest(prompt_text="Ho", temperature=0)).outputs == ["la €~ñd"]


def test_a_stream_leaves_the_same_notes(uniform):
    request = GenerateRequest(prompt_text="x" * 30, max_new_tokens=40, temperature=1, stop_on_eos=False)
    notes = []
    assert "".join(uniform.stream(request, notes)) == uniform.generate(request).outputs[0]
    assert notes == uniform.generate(request).notes
    assert len(notes) == 2


def test_padding_rows_of_a_model_are_never_written():
    table = torch.zeros(300, 300)
    table[:, 280] = 0.9
    table[:, 4 + ord("a")] = 0.1
    result = ModelEngine(BigramModel(table), TOKENIZER).generate(GenerateRequest(max_new_tokens=5, temperature=1))
    assert result.outputs == ["aaaaa"]


def test_a_tokenizer_larger_than_the_model_is_refused():
    with pytest.raises(DataError, match="the tokenizer has 260 tokens, the model only 100"):
        ModelEngine(uniform_model(100), TOKENIZER)


def test_dropout_stays_as_it_was(uniform):
    uniform.model.train()
    uniform.generate(GenerateRequest(max_new_tokens=1))
    assert uniform.model.training
    uniform.model.eval()


def test_a_model_of_nan_is_named(chain):
    with torch.no_grad():
        chain.model.log_table.fill_(math.nan)
    with pytest.raises(DataError, match="not finite numbers"):
        chain.generate(GenerateRequest())
    with pytest.raises(DataError, match="not finite numbers"):
        chain.score(ScoreRequest(text="a"))


def test_prompts_are_normalised_as_the_training_text_was(chain):
    section = NormalizationSection(unicode="nfc", lowercase=True, remove_special_chars=True)
    engine = ModelEngine(chain_model("hola €~ñd", window=32), TOKENIZER, section)
    result = engine.generate(GenerateRequest(prompt_text="HOL\u200b", temperature=0))
    assert result.outputs == ["a €~ñd"]
    assert result.notes == ["the text was normalised as the training text was"]
    decomposed = engine.generate(GenerateRequest(prompt_text="n\u0303", temperature=0))
    assert decomposed.outputs == ["d"]
    score = engine.score(ScoreRequest(text="HO", detail_level="per_char"))
    assert [entry.character for entry in score.characters] == ["h", "o"]
    assert score.notes == ["the text was normalised as the training text was"]
    assert engine.generate(GenerateRequest(prompt_text="hol", temperature=0)).notes == []


def test_unknown_tokens_are_told(chain):
    class LettersOnly(ByteTokenizer):
        def encode(self, text):
            return [token if chr(token - 4).isalpha() else self.unk_id for token in super().encode(text)]

    engine = ModelEngine(uniform_model(260), LettersOnly())
    notes = engine.generate(GenerateRequest(prompt_text="a1b2", max_new_tokens=1)).notes
    assert notes == ["2 of the 4 tokens given are unknown to the tokenizer"]
    assert engine.score(ScoreRequest(text="a1b2")).notes == notes


def test_prompts_from_files(chain, tmp_path):
    path = tmp_path / "prompt.txt"
    path.write_text("Hola", encoding="utf-8")
    assert chain.generate(GenerateRequest(prompt_path=path, temperature=0)).outputs == [" €~ñd"]
    path.write_bytes(b"Hol\xed")
    with pytest.raises(DataError, match="prompt.txt is not valid UTF-8"):
        chain.generate(GenerateRequest(prompt_path=path))
    with pytest.raises(DataError, match="no such file"):
        chain.score(ScoreRequest(path=tmp_path / "absent"))
    with pytest.raises(DataError, match="cannot be read: Is a directory"):
        chain.score(ScoreRequest(path=tmp_path))
    with pytest.raises(DataError, match="the text is not valid UTF-8"):
        chain.generate(GenerateRequest(prompt_text="\ud800"))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"max_new_tokens": 513}, "max_new_tokens is 513: Input should be less than or equal to 512"),
        ({"max_new_tokens": 0}, "greater than or equal to 1"),
        ({"num_return_sequences": 11}, "num_return_sequences is 11: Input should be less than or equal to 10"),
        ({"temperature": -1}, "temperature is -1: Input should be greater than or equal to 0"),
        ({"top_p": 0}, "top_p is 0: Input should be greater than 0"),
        ({"stop_sequences": [""]}, "stop_sequences.0 is ''"),
        ({"prompt_text": "a", "prompt_path": "b"}, "mutually exclusive"),
        ({"max_tokens": 3}, "did you mean 'max_new_tokens'"),
    ],
)
def test_limits_are_named(values, words):
    with pytest.raises(RecipeError, match=words.replace("?", r"\?")):
        checked_request(GenerateRequest, values)


def test_a_long_wrong_value_is_shown_in_part():
    with pytest.raises(RecipeError, match="prompt_text is") as caught:
        checked_request(GenerateRequest, {"prompt_text": ["x" * 10_000]})
    assert len(caught.value.message) < 300


def test_score_wants_exactly_one_text():
    with pytest.raises(RecipeError, match="exactly one"):
        checked_request(ScoreRequest, {})
    with pytest.raises(RecipeError, match="exactly one"):
        checked_request(ScoreRequest, {"text": "a", "path": "b"})


def two_letter_engine(window=16):
    """After <eos> or b: a with ¾, b with ¼. After a: b with ½, <eos> with ½."""
    table = torch.zeros(260, 260)
    a, b = 4 + ord("a"), 4 + ord("b")
    table[:, a], table[:, b] = 0.75, 0.25
    table[a] = 0.0
    table[a, b] = table[a, 3] = 0.5
    return ModelEngine(BigramModel(table, window), TOKENIZER)


def test_score_is_the_hand_computation():
    result = two_letter_engine().score(ScoreRequest(text="abba", top_k=2))
    surprisal = [-math.log(p) for p in (0.75, 0.5, 0.25, 0.75)]
    assert result.surprisal == pytest.approx(surprisal, abs=1e-6)
    assert result.loss == pytest.approx(sum(surprisal) / 4, abs=1e-6)
    assert result.perplexity == pytest.approx((1 / (0.75 * 0.5 * 0.25 * 0.75)) ** 0.25, abs=1e-5)
    assert result.tokens == ["a", "b", "b", "a"]
    assert [sorted(choice.token for choice in position) for position in result.topk] == [
        ["a", "b"], ["<eos>", "b"], ["a", "b"], ["a", "b"],
    ]  # fmt: skip
    assert result.topk[2][1].log_probability == pytest.approx(math.log(0.25), abs=1e-6)
    assert result.characters is None


def test_a_text_longer_than_the_window_scores_the_same_under_a_bigram_model():
    text = "abba" * 30
    long, short = two_letter_engine(window=512), two_letter_engine(window=9)
    assert short.score(ScoreRequest(text=text)).surprisal == pytest.approx(
        long.score(ScoreRequest(text=text)).surprisal, abs=1e-6
    )


@pytest.mark.parametrize("count", [1, 7, 8, 9, 12, 13, 100])
@pytest.mark.parametrize("window", [1, 2, 7, 8])
def test_windows_score_every_token_once_with_half_a_window_before_it(count, window):
    scored = []
    for start, first, stop in scoring_windows(count, window):
        assert stop - start <= window
        assert first - start >= (window // 2 if first else 0)
        scored += range(first, stop)
    assert scored == list(range(count))


def test_characters_share_the_surprisal_of_their_bytes(uniform):
    result = uniform.score(ScoreRequest(text="añ€", detail_level="per_char"))
    nats = math.log(260)
    assert [entry.character for entry in result.characters] == ["a", "ñ", "€"]
    assert [entry.surprisal for entry in result.characters] == pytest.approx([nats, 2 * nats, 3 * nats], rel=1e-5)
    assert sum(e.surprisal for e in result.characters) == pytest.approx(result.loss * len(result.tokens), rel=1e-6)


def test_the_perplexity_of_the_uniform_model_is_its_vocabulary(uniform):
    assert uniform.score(ScoreRequest(text="whatever it is")).perplexity == pytest.approx(260, rel=1e-5)


def test_nothing_to_score(uniform):
    with pytest.raises(DataError, match="nothing to score"):
        uniform.score(ScoreRequest(text=""))


def test_a_tokenizer_without_document_tokens_needs_a_prompt():
    tokenizer = ByteTokenizer()
    tokenizer.eos_id = tokenizer.bos_id = -1
    engine = ModelEngine(uniform_model(260), tokenizer)
    with pytest.raises(DataError, match="nothing to start from"):
        engine.generate(GenerateRequest())
    with pytest.raises(DataError, match="nothing to start from"):
        engine.score(ScoreRequest(text="a"))
    assert engine.generate(GenerateRequest(prompt_text="a", max_new_tokens=3)).steps == [3]
