"""The recipe section `examples`: rows of questions and answers, conversations or preferences, for fine-tuning."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from loquela.core.model import BoundaryModel
from loquela.recipe.model_access import ModelAccess

ExampleFormat = Literal["alpaca", "sharegpt", "messages", "prompt_completion", "text", "preference", "feedback"]
Learn = Literal["assistant", "completion", "all"]
ColumnName = Annotated[str, Field(min_length=1, max_length=200)]
STRATA = ("source", "language", "kind")


class ExampleColumns(BoundaryModel):
    """Which column (or key of a turn) holds what, where the usual names do not say it."""

    messages: ColumnName | None = Field(None, description="list of turns")
    role: ColumnName | None = Field(None, description="key of a turn: who speaks")
    content: ColumnName | None = Field(None, description="key of a turn: what is said")
    prompt: ColumnName | None = Field(None, description="what comes before the answer")
    completion: ColumnName | None = Field(None, description="the answer")
    instruction: ColumnName | None = Field(None, description="what to do (Alpaca)")
    input: ColumnName | None = Field(None, description="what to do it with (Alpaca)")
    output: ColumnName | None = Field(None, description="the answer (Alpaca)")
    text: ColumnName | None = Field(None, description="plain text")
    chosen: ColumnName | None = Field(None, description="the better answer")
    rejected: ColumnName | None = Field(None, description="the worse answer")
    label: ColumnName | None = Field(None, description="whether the answer was good: true or false")
    system: ColumnName | None = Field(None, description="system prompt of the row")
    tools: ColumnName | None = Field(None, description="descriptions of the tools that may be called")

    @property
    def given(self) -> dict[str, str]:
        """What was written: role → column."""
        found = self.model_dump(exclude_none=True)
        return {str(role): str(column) for role, column in found.items()}


class ExampleRoles(BoundaryModel):
    """Names that a file gives to the speakers, beside the usual ones (human, gpt, …)."""

    system: list[ColumnName] = Field([], description="names of the system")
    user: list[ColumnName] = Field([], description="names of the user")
    assistant: list[ColumnName] = Field([], description="names of the assistant")
    tool: list[ColumnName] = Field([], description="names of a tool's answer")


class RewritingSection(ModelAccess):
    """Questions of the training split reworded by a language model; what changes their meaning is thrown away."""

    place: ClassVar[str] = "examples.augment.rewriting"
    to_ask_less: ClassVar[str] = "lower examples.augment.rewriting.variants"

    provider: Literal["anthropic", "openai"] = Field(
        "anthropic", description="openai: any endpoint that speaks its protocol"
    )
    variants: int = Field(1, ge=1, le=10, description="per example: the question in the words of the model")


class AugmentSection(BoundaryModel):
    """Reworded copies of training questions; answers stay as they are."""

    instruction_variations: int = Field(0, ge=0, le=10, description="per example: the question put into another frame")
    paraphrases: int = Field(0, ge=0, le=10, description="per example: the question in other words, by dictionary")
    surface_variations: int = Field(0, ge=0, le=3, description="per example: other white space, case, end mark")
    max_variants: int = Field(3, ge=1, le=20, description="per example, of all sorts together; those of a model first")
    rewriting: RewritingSection | None = Field(None, description="questions reworded by a model; null: none is asked")

    @property
    def wanted(self) -> bool:
        """Whether anything is to be made."""
        by_rule = self.instruction_variations + self.paraphrases + self.surface_variations
        return by_rule > 0 or self.rewriting is not None

    @model_validator(mode="after")
    def _nothing_paid_for_and_unused(self) -> Self:
        if self.rewriting is not None and self.rewriting.variants > self.max_variants:
            raise ValueError(
                f"rewriting.variants {self.rewriting.variants} is more than max_variants {self.max_variants}, so some "
                "would be paid for and not used; raise max_variants"
            )
        return self


class ExamplesSection(BoundaryModel):
    """What is fine-tuned on: files of examples, how rows are read, shown to the model, split and measured."""

    sources: list[Annotated[str, Field(min_length=1)]] = Field(
        [], description="files, folders or globs of json, jsonl, csv, tsv, parquet, arrow or txt"
    )
    format: Literal["auto"] | ExampleFormat = Field("auto", description="what rows look like; auto: by their columns")
    columns: ExampleColumns = Field(default_factory=ExampleColumns)
    roles: ExampleRoles = Field(default_factory=ExampleRoles)
    label_columns: list[ColumnName] = Field([], description="columns kept as labels of each example")
    language: str | None = Field(None, pattern=r"^[a-z]{2,3}$", description="ISO 639 code of all rows; null: unsaid")
    placeholders: list[Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*=")]] = Field(
        [], description="what to put for {{name}} in the rows, each name=text"
    )
    system_prompt: str | None = Field(
        None, min_length=1, max_length=100_000, description="put before conversations that have none"
    )
    template: Literal["auto", "base", "chatml", "alpaca", "custom"] = Field(
        "auto",
        description="how an example becomes text; base: by the base model's chat template; auto: that, if it has one, "
        "else chatml, or alpaca for a base without the tokens of chatml",
    )
    learn: Learn = Field(
        "assistant",
        description="of a conversation: every answer of the assistant, the last one (completion), or all tokens",
    )
    template_file: Path | None = Field(None, description="template: custom: the file that holds it")
    template_syntax: Literal["jinja", "format"] = Field(
        "jinja", description="of template_file: Jinja over messages, or plain text with {prompt} and {completion}"
    )
    on_special_text: Literal["error", "escape", "keep"] = Field(
        "error", description="when a row spells one of the template's control tokens; escape: a space breaks it up"
    )
    on_bad_row: Literal["error", "drop"] = Field("error", description="when a row cannot be learnt from")
    duplicates: Literal["drop", "keep"] = Field("drop", description="of exactly equal examples, all but the first")
    tokenizer: Path | None = Field(
        None, description="tokenizer folder or tokenizer.json that lengths are counted with; null: the run's own"
    )
    max_tokens: int | None = Field(
        None, ge=8, le=1_048_576, description="longest row the model may see; null: no limit"
    )
    on_overlong: Literal["error", "split", "drop", "truncate"] = Field(
        "error", description="when an example has more than max_tokens"
    )
    pack: bool = Field(False, description="fill rows of max_tokens with several examples, boundaries kept")
    seed: int = Field(1337, ge=0, lt=2**31, description="of the split and of augmentation")
    validation_fraction: float = Field(0.05, ge=0, lt=1, description="share of examples held out for validation")
    test_fraction: float = Field(0.0, ge=0, lt=1, description="share of examples held out for the final test")
    stratify_by: ColumnName = Field(
        "source", description="each split gets its share of every: source, language, kind, or one of label_columns"
    )
    augment: AugmentSection = Field(default_factory=AugmentSection)

    @property
    def fills(self) -> dict[str, str]:
        """`placeholders` as name → text."""
        pairs = (entry.partition("=") for entry in self.placeholders)
        return {name: text for name, _, text in pairs}

    def check_for_base(self) -> None:
        """ValueError for what does not go with a base model (section finetune)."""
        if self.tokenizer is not None:
            raise ValueError("rows are made with the base's own tokenizer; take examples.tokenizer out of the recipe")
        if self.on_special_text == "keep":
            raise ValueError(
                "whoever serves the model takes control tokens that rows spell for the tokens themselves; write "
                "examples.on_special_text: escape"
            )
        if self.template == "custom" and self.template_syntax == "format":
            raise ValueError(
                "a fine-tuned model is served with its template, and what serves it knows Jinja only; write "
                "examples.template_syntax: jinja, and the template in Jinja"
            )

    @field_validator("sources")
    @classmethod
    def _each_source_once(cls, sources: list[str]) -> list[str]:
        twice = sorted({source for source in sources if sources.count(source) > 1})
        if twice:
            raise ValueError(f"{twice[0]!r} stands in sources twice; remove one")
        return sources

    @model_validator(mode="after")
    def _goes_together(self) -> Self:
        if (self.template == "custom") != (self.template_file is not None):
            raise ValueError("template: custom and template_file go together; write both, or neither")
        if self.learn == "completion" and self.on_overlong == "split":
            raise ValueError(
                "learn: completion and on_overlong: split do not go together: only the last piece of a conversation "
                "would have something to learn; write on_overlong: drop or truncate"
            )
        if self.pack and self.max_tokens is None:
            raise ValueError("pack needs max_tokens; set max_tokens to the rows' length")
        if self.validation_fraction + self.test_fraction >= 0.9:
            raise ValueError("validation_fraction + test_fraction must leave at least 10 % to train on")
        if self.stratify_by not in (*STRATA, *self.label_columns):
            raise ValueError(
                f"stratify_by {self.stratify_by!r} is none of {', '.join((*STRATA, *self.label_columns))}; "
                "add it to label_columns"
            )
        return self
