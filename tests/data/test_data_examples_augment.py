"""Rewordings: grammar kept, meaning guarded, everything counted, nothing but questions of the train split touched."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loquela.artifacts.examples import Example, ExampleLineage, Message, with_id
from loquela.data.examples.augment.augmenter import DataAugmenter
from loquela.data.examples.augment.english_dictionary import english_agreement, english_rules
from loquela.data.examples.augment.guard import kept_share, rejected, similarity
from loquela.data.examples.augment.language import language_of
from loquela.data.examples.augment.paraphrase import paraphrases
from loquela.data.examples.augment.spanish_dictionary import spanish_agreement, spanish_rules
from loquela.data.examples.augment.surface import normalize, surface_variations
from loquela.data.examples.augment.variation import Variation
from loquela.data.examples.templates.manager import PromptTemplateManager
from loquela.recipe.examples_section import AugmentSection

ANSWER = Message(role="assistant", content="An answer with a big 7, don't touch it.")


def example(question: str, split: str = "train", **fields: object) -> Example:
    content = {"kind": "messages", "messages": [Message(role="user", content=question), ANSWER], **fields}
    lineage = ExampleLineage(source="a.jsonl", row=3)
    return with_id(Example.model_validate({"id": "", "split": split, "lineage": lineage, "group": "g", **content}))


def varied(question: str, language: str = "en") -> list[str]:
    return PromptTemplateManager().get_instruction_variations(question, language)


@pytest.mark.parametrize(
    ("question", "language", "expected"),
    [
        (
            "Explain the water cycle.",
            "en",
            {
                "Please explain the water cycle.",
                "Could you explain the water cycle?",
                "Can you explain the water cycle?",
                "I would like you to explain the water cycle.",
                "Your task is to explain the water cycle.",
                "I need you to explain the water cycle.",
            },
        ),
        ("Read the text. Then explain it.", "en", {"Please read the text. Then explain it."}),
        ("List of kings and queens", "en", set()),
        ("Is it raining? Take an umbrella.", "en", set()),
        ("The moon is far away.", "en", set()),
        ("", "en", set()),
        ("Explain it", "fr", set()),
        (
            "Explica el ciclo del agua.",
            "es",
            {
                "Por favor, explica el ciclo del agua.",
                "¿Podrías explicar el ciclo del agua?",
                "¿Puedes explicar el ciclo del agua?",
                "Necesito que expliques el ciclo del agua.",
                "Quiero que expliques el ciclo del agua.",
            },
        ),
        (
            "Escriba un poema.",
            "es",
            {
                "Por favor, escriba un poema.",
                "¿Podría escribir un poema?",
                "¿Puede escribir un poema?",
                "Necesito que escriba un poema.",
                "Quiero que escriba un poema.",
            },
        ),
        (
            "Dime dos ríos",
            "es",
            {
                "Por favor, dime dos ríos",
                "¿Podrías decirme dos ríos?",
                "¿Puedes decirme dos ríos?",
                "Necesito que me digas dos ríos.",
                "Quiero que me digas dos ríos.",
            },
        ),
        # The second verb would have to change its form too.
        ("Lee el texto y resume las ideas.", "es", {"Por favor, lee el texto y resume las ideas."}),
        ("Resumen de la obra", "es", set()),
    ],
)
def test_frames_keep_the_grammar(question: str, language: str, expected: set[str]) -> None:
    assert set(varied(question, language)) == expected


def test_questions_are_announced() -> None:
    assert "Please answer this question: Who wrote it?" in varied("Who wrote it?")
    assert "Responde a esta pregunta: ¿Quién lo escribió?" in varied("¿Quién lo escribió?", "es")
    assert all("Who wrote it?" in text for text in varied("Who wrote it?"))


def reworded(text: str, language: str) -> set[str]:
    return {variation.text for variation in paraphrases(text, language, 20, "seed")}


@pytest.mark.parametrize(
    ("text", "language", "expected"),
    [
        ("Describe an advantage.", "en", {"Describe a benefit."}),
        ("Make a mistake", "en", {"Make an error"}),
        ("Buy it for the entire week", "en", {"Purchase it for the whole week"}),
        ("Why don't you buy it?", "en", {"Why don't you purchase it?"}),
        ("They don't know", "en", {"They do not know"}),
        ("Those that are not here", "en", {"Those that aren't here"}),
        ("Choose to stay", "en", set()),
        ("Write a children's story", "en", set()),
        ('Explain the word "buy"', "en", set()),
        ("Correct the sentence: I buy it", "en", set()),
        ("Translate\nI buy it", "en", set()),
        ("Tell me about Buy Nothing Day and `buy` and /buy/sell", "en", set()),
        ("Describe el objetivo", "es", {"Describe el propósito"}),
        ("Explica el error", "es", {"Explica el fallo"}),
        ("Un método e importante", "es", {"Un procedimiento y relevante", "Un procedimiento e importante"}),
        ("Una frase sencilla y corta", "es", {"Una frase simple y breve"}),
        ("Dos caminos complicados", "es", {"Dos caminos difíciles"}),
        ("El número e es importante", "es", {"El número e es relevante"}),
    ],
)
def test_paraphrases_agree(text: str, language: str, expected: set[str]) -> None:
    found = reworded(text, language)
    assert expected <= found if expected else found == set()


def test_agreement_by_sound() -> None:
    assert english_agreement("a apple, an house, a hour, an university, A error, an X, an one") == (
        "an apple, a house, an hour, a university, An error, an X, a one"
    )
    assert spanish_agreement("y idea, e casa, o otro, u mar, y hielo, y hijos, de el mar, a el mar") == (
        "e idea, y casa, u otro, o mar, y hielo, e hijos, del mar, al mar"
    )


def test_dictionaries_hold_no_pair_of_a_word_with_itself() -> None:
    for rules in (english_rules(), spanish_rules()):
        assert len({pattern for pattern, _ in rules}) == len(rules)


SOURCE = "Explain why Marie Curie did not publish 3 papers, for example in «Nature»."


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (SOURCE.replace("3", "4"), "numbers changed"),
        (SOURCE.replace("3 papers", "papers"), "numbers changed"),
        (SOURCE.replace("Marie ", ""), "names changed"),
        (SOURCE.replace("did not publish", "published"), "negation changed"),
        (SOURCE.replace("«Nature»", "«Science»"), "quotes, code or addresses changed"),
        ("Tell Marie Curie not 3 «Nature»", "drifted away"),
        (SOURCE + " ", "copy of its source"),
        ("  ", "empty"),
        ("Taken before", "copy of another variant"),
    ],
)
def test_the_guard_rejects(text: str, reason: str) -> None:
    assert rejected(SOURCE, Variation(text, "model:rewrite"), "en", ["Taken before"]) == reason


def test_the_guard_lets_rewordings_pass() -> None:
    for text in (
        "Please explain why Marie Curie did not publish 3 papers, for example in «Nature».",
        "Explain why Marie Curie didn't publish 3 papers, for instance in «Nature».",
    ):
        assert rejected(SOURCE, Variation(text, "frame:please"), "en", []) is None
    assert rejected("No sé nada de Luis", Variation("No sé de Luis", "x"), "es", []) == "negation changed"


def test_similarity_of_word_grams() -> None:
    # 10 words and one changed at the end: 6 grams each, 5 shared, 7 in all.
    left = "one two three four five six seven eight nine ten"
    assert similarity(left, left.replace("ten", "zehn")) == pytest.approx(5 / 7)
    assert similarity("a b c d", "a b c e") == pytest.approx(2 / 4)
    assert similarity("", "") == 0
    assert kept_share("alpha beta of gamma", "gamma alpha") == pytest.approx(2 / 3)
    long = " ".join("abcdefghijklmnopqrstuvwxyz" * 2)
    assert rejected(long, Variation(f"{long[:-1]}new", "dictionary:z"), "", []) == "copy of its source"


def test_surface_variations_leave_what_matters() -> None:
    assert {variation.text for variation in surface_variations("Who is Ada Lovelace?")} == {
        "Who is Ada Lovelace",
        "who is ada lovelace?",
        "who is Ada Lovelace?",
        " Who is Ada Lovelace?",
    }
    assert "Quién es" in {variation.text for variation in surface_variations("¿Quién es?")}
    for text in ("Capitalise this: ada", "Fix `X = 1`", 'Spell "Ada"', "One\ntwo"):
        assert not list(surface_variations(text))


def test_normalize_puts_white_space_in_order_but_not_in_code() -> None:
    assert normalize("  an\u0303o \u00a0 x  \n\n\n\n y\t z ") == "año x\n\ny z"
    assert normalize("a  b\n```\nx  =  1\n\n\n\n```\n c") == "a b\n```\nx  =  1\n\n\n\n```\nc"


def test_languages_are_told_only_when_clear() -> None:
    assert language_of("What is the capital of France?") == "en"
    assert language_of("¿Cuál es la capital de Francia?") == "es"
    assert language_of("Berlin") is None


SECTION = AugmentSection(instruction_variations=3, paraphrases=2, surface_variations=2, max_variants=4)


def test_variants_keep_answer_split_and_group() -> None:
    source = example("Explain an advantage of it.")
    made = list(DataAugmenter(SECTION, 7).augment_dataset([source]))
    assert made[0] == source
    assert 1 < len(made) <= 5
    for variant in made[1:]:
        assert variant.messages[1] == ANSWER
        assert (variant.split, variant.group, variant.variant_of) == ("train", "g", source.id)
        assert variant.lineage.row == 3
        assert str(variant.lineage.generator).startswith("augment:")
        assert variant.id != source.id
    assert len({variant.id for variant in made}) == len(made)


def test_the_seed_decides() -> None:
    sources = [example(f"Explain an advantage of number {number}.") for number in range(6)]
    one, same, other = (
        [variant.id for variant in DataAugmenter(SECTION, seed).augment_dataset(sources)] for seed in (1, 1, 2)
    )
    assert one == same != other


def test_only_questions_of_the_train_split_are_reworded() -> None:
    augmenter = DataAugmenter(SECTION, 1)
    held_out = [example("Explain it.", split) for split in ("validation", "test")]
    text = example("", kind="text", messages=[], text="Explain it.")
    assert list(augmenter.augment_dataset([*held_out, text])) == [*held_out, text]
    assert augmenter.report.sources == 0


def test_input_and_later_turns_stay() -> None:
    question = Message(role="user", content="Explain an advantage:\n\nBuy it. For example.", input_start=23)
    later = Message(role="user", content="Explain it again.")
    made = list(DataAugmenter(SECTION, 1).variants(example("", messages=[question, ANSWER, later, ANSWER])))
    assert made
    for variant in made:
        assert variant.messages[0].input == "Buy it. For example."
        assert variant.messages[0].instruction != question.instruction
        assert variant.messages[1:] == [ANSWER, later, ANSWER]
    pair = example("", kind="prompt_completion", messages=[], prompt="Explain it.", completion="Explain.")
    assert all(variant.completion == "Explain." for variant in DataAugmenter(SECTION, 1).variants(pair))


def test_the_report_counts_what_was_made_and_thrown_away() -> None:
    augmenter = DataAugmenter(AugmentSection(instruction_variations=10, paraphrases=1, max_variants=20), 1)
    long = "Explain how to buy " + " ".join(f"thing{number}" for number in range(40)) + "."
    made = list(augmenter.augment_dataset([example(long), example("Zebra.")]))
    report = augmenter.report
    assert (report.sources, report.without, report.variants) == (2, 1, 6)
    assert len(made) == 8
    assert sum(rule.count for rule in report.made) == 6
    assert report.rejected[0].name == "copy of its source"
    assert report.rejected[0].examples[0] == (long, long.replace("buy", "purchase"))


@settings(max_examples=60, deadline=None)
@given(st.text(alphabet="Explica in the buy error y o de el 3 no don't«»`:.?\n", max_size=60))
def test_whatever_comes_in_answers_and_numbers_stay(question: str) -> None:
    for language in ("en", "es"):
        source = example(question or "x", language=language)
        for variant in DataAugmenter(SECTION, 1).variants(source):
            assert variant.messages[1] == ANSWER
            assert variant.messages[0].content.count("3") == question.count("3")
