"""Recipe section `data.validation`: what a document must be like. By default nothing is dropped, changed or asked."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from loquela.core.model import BoundaryModel
from loquela.core.near_names import unknown_name
from loquela.recipe.quality_rules import RULES, RuleSet

PiiKind = Literal["email", "phone", "ip", "credit_card", "iban", "national_id", "secret"]
LanguageCode = Annotated[str, Field(pattern=r"^[a-z]{2,3}$")]


class ProhibitedPattern(BoundaryModel):
    """One regular expression that is searched in linear time, whatever it is."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$", description="what reports call it")
    pattern: str = Field(
        min_length=1,
        max_length=4096,
        description="Hyperscan's subset of PCRE: no backreferences, no lookaround; (?i) for any case",
    )
    action: Literal["drop", "redact", "warn"] = Field(
        "drop", description="drop the document, put <name> in the place of each match, or only say so"
    )


class PiiOptions(BoundaryModel):
    """Personal data, found by form and proven by checksum where there is one."""

    kinds: list[PiiKind] = Field(default_factory=list, description="which to look for; an empty list looks for none")
    action: Literal["pseudonymize", "drop", "warn"] = Field(
        "pseudonymize", description="put <kind-xxxxxx> in its place, drop the document, or only say so"
    )
    key_environment: str | None = Field(
        None,
        min_length=1,
        description="environment variable with the secret key of the pseudonyms; null: a key made from seed, "
        "with which anybody who has the recipe can test a guess",
    )
    seed: int = Field(1337, ge=0, lt=2**31, description="key of the pseudonyms where key_environment is null")


class SanitizeOptions(BoundaryModel):
    """What is taken out of every text; each is counted in the ledger under its name."""

    control_characters: bool = Field(False, description="remove C0 and C1 controls but tab and line feed")
    zero_width: bool = Field(False, description="remove zero-width spaces, word joiners and soft hyphens")
    byte_order_marks: bool = Field(False, description="remove U+FEFF inside the text")
    surrogates: bool = Field(False, description="remove unpaired surrogates, which no UTF-8 file can hold")
    direction_marks: bool = Field(False, description="remove marks that change the direction of writing unseen")
    trailing_spaces: bool = Field(False, description="remove spaces and tabs at the ends of lines")
    c4_lines: bool = Field(
        False, description="remove the lines that C4 removes: no end mark, under 3 words, JavaScript, policies"
    )


class ValidationSection(BoundaryModel):
    """Rules for every document, between normalisation and deduplication."""

    rule_sets: list[RuleSet] = Field(default_factory=list, description="published quality rules to hold documents to")
    thresholds: dict[str, float] = Field(
        default_factory=dict, description="thresholds other than the published ones, by rule: fineweb.short_lines: 0.8"
    )
    min_quality_score: float = Field(
        0.0,
        ge=0,
        le=1,
        description="lower scores fail; the score is that of rule_sets, or of basic where there is none",
    )
    on_low_quality: Literal["drop", "warn"] = Field("drop", description="what happens when a rule or the score fails")
    unwrap: bool = Field(
        True,
        description="judge books as books: hard-wrapped lines as paragraphs, an end mark before a closing quote as an "
        "end; the text stays as it is",
    )
    languages: list[LanguageCode] = Field(
        default_factory=list, description="ISO 639 codes to keep; an empty list keeps all and identifies none"
    )
    min_confidence: float = Field(
        0.5, ge=0, le=1, description="a language identified with less confidence is not taken to be that language"
    )
    on_other_language: Literal["drop", "warn"] = Field("drop", description="what happens to other languages")
    patterns: list[ProhibitedPattern] = Field(default_factory=list, description="text that must not occur")
    pii: PiiOptions = Field(default_factory=PiiOptions)
    sanitize: SanitizeOptions = Field(default_factory=SanitizeOptions)

    @property
    def asks_anything(self) -> bool:
        """Whether any document can be judged or changed at all."""
        sanitizes = any(self.sanitize.model_dump().values())
        judges = bool(self.rule_sets or self.min_quality_score or self.languages or self.patterns)
        return sanitizes or judges or bool(self.pii.kinds)

    @field_validator("thresholds")
    @classmethod
    def _known_rules(cls, thresholds: dict[str, float]) -> dict[str, float]:
        for name in thresholds:
            if name not in RULES:
                raise ValueError(unknown_name("quality rule", name, RULES))
        return thresholds

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        names = [pattern.name for pattern in self.patterns]
        lists: tuple[list[str], ...] = ([*self.rule_sets], self.languages, [*self.pii.kinds], names)
        for listed in lists:
            twice = sorted({item for item in listed if listed.count(item) > 1})
            if twice:
                raise ValueError(f"{twice[0]!r} stands twice in one list; remove one")
        idle = [name for name in self.thresholds if RULES[name].rule_set not in (self.rule_sets or ["basic"])]
        if idle:
            raise ValueError(f"the threshold {idle[0]} is never asked: add {idle[0].partition('.')[0]} to rule_sets")
        return self
