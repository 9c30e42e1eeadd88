"""A runtime and a tokenizer, ready to write and to measure text. Loads no tensor library but NumPy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from loquela.artifacts.normalization import normalize_text
from loquela.core.errors import DataError, ErrorCode, RecipeError
from loquela.inference.contracts import GenerateRequest, GenerateResult, ScoreRequest, ScoreResult
from loquela.inference.decoding import Decoding
from loquela.inference.runtimes.contract import Runtime
from loquela.inference.sampling import choose, seeded
from loquela.inference.scoring import character_surprisals, longest_window, score_tokens, start_token
from loquela.inference.text_stream import Detokenizer, StopScanner
from loquela.recipe.schema import NormalizationSection
from loquela.tokenizers.contract import TokenizerHandle


@dataclass(frozen=True)
class TextEdges:
    """Of models made elsewhere: the token in front of every text, and tokens that end one besides the tokenizer's."""

    beginning: int | None = None
    stops: frozenset[int] = frozenset()


@dataclass
class Outcome:
    """What is known about a sequence besides its text: filled in while it is written.

    `eos`: the model ended it; `stopped`: a stop sequence did; `prompt_cut`, `slides`: as in `Decoding`.
    """

    steps: int = 0
    eos: bool = False
    stopped: bool = False
    prompt_cut: int = 0
    slides: int = 0


class Engine:
    """Generates, streams and scores text with one model, whatever computes its logits.

    The prompt is given to the model as it is, without special tokens (but for the one that a model made elsewhere wants
    in front of every text); an empty one starts from the end-of-document
    token (the beginning token where a loaded tokenizer has no other), after which every training document but the
    first began. Text is normalised as the training text was. Raises DataError(CHECKPOINT_INCOMPATIBLE) when the
    tokenizer knows more tokens than the model.
    """

    def __init__(
        self,
        runtime: Runtime,
        tokenizer: TokenizerHandle,
        normalization: NormalizationSection | None = None,
        *,
        trained_window: int | None = None,
        edges: TextEdges | None = None,
    ) -> None:
        """`trained_window`: longest text, in tokens, to score at once; without one, the runtime's context.

        `edges`: how texts begin and end where the tokenizer alone does not say so.
        """
        if tokenizer.vocab_size > runtime.vocab_size:
            raise DataError(
                ErrorCode.CHECKPOINT_INCOMPATIBLE,
                f"the tokenizer has {tokenizer.vocab_size} tokens, the model only {runtime.vocab_size}",
                "use the tokenizer that the model was trained with",
            )
        self.runtime = runtime
        self.tokenizer = tokenizer
        self.normalization = normalization or NormalizationSection(unicode="none")
        self._trained_window = trained_window or runtime.context
        self._edges = edges or TextEdges()

    def close(self) -> None:
        """Give the model's memory back; the engine can then no longer be used."""
        self.runtime.close()

    def generate(self, request: GenerateRequest) -> GenerateResult:
        """All sequences of `request`; sequence i is the one that seed + i alone would give.

        Raises DataError: DATA_NOT_FOUND, READ_FAILED or ENCODING_ERROR for the prompt, INFERENCE_FAILED when the
        model gives no usable logits.
        """
        prompt, notes = self.prompt(request)
        outputs, outcomes = [], []
        for index in range(request.num_return_sequences):
            outcome = Outcome()
            outputs.append("".join(self.write(request, prompt, request.seed + index, outcome)))
            outcomes.append(outcome)
        return GenerateResult(
            outputs=outputs,
            steps=[outcome.steps for outcome in outcomes],
            eos_terminated=[outcome.eos for outcome in outcomes],
            notes=notes + self.notes_on(outcomes),
        )

    def stream(self, request: GenerateRequest, notes: list[str] | None = None) -> Iterator[str]:
        """The text of one sequence in pieces, each as soon as it is certain; errors as `generate`.

        What `generate` would say in `notes` is appended to the list given here, when the text has ended.
        """
        if request.num_return_sequences != 1:
            raise RecipeError(
                ErrorCode.CONFIG_INVALID,
                f"only one sequence can be streamed, not {request.num_return_sequences}",
                "set num_return_sequences to 1, or use generate",
            )
        prompt, prompt_notes = self.prompt(request)
        outcome = Outcome()
        yield from self.write(request, prompt, request.seed, outcome)
        if notes is not None:
            notes += prompt_notes + self.notes_on([outcome])

    def score(self, request: ScoreRequest) -> ScoreResult:
        """How well the model expects a text, token by token (see `ScoreResult`).

        Raises DataError: INSUFFICIENT_DATA for an empty text, else as `generate`.
        """
        text, ids, notes = self._encode(text_of(request.text, request.path))
        if not ids:
            raise DataError(
                ErrorCode.INSUFFICIENT_DATA, "there is nothing to score: the text has no tokens", "give some text"
            )
        window = longest_window(self.runtime, self._trained_window)
        if window < min(self._trained_window, self.runtime.context, len(ids)):
            notes.append(f"the text was read in windows of {window} tokens, so that the logits fit into memory")
        first = start_token(self.tokenizer) if self._edges.beginning is None else self._edges.beginning
        scored = score_tokens(self.runtime, self.tokenizer, [first, *ids], request.top_k, window)
        characters = None
        if request.detail_level == "per_char":
            characters = character_surprisals(self.tokenizer, ids, scored.surprisal)
            if "".join(entry.character for entry in characters) != text:
                notes.append("the tokenizer does not give this text back unchanged: characters are those it decodes to")
        return ScoreResult(
            loss=scored.loss,
            perplexity=scored.perplexity,
            surprisal=scored.surprisal,
            topk=scored.topk,
            tokens=[self.tokenizer.token_text(token) for token in ids],
            characters=characters,
            notes=notes,
        )

    def write(
        self,
        request: GenerateRequest,
        prompt: list[int],
        seed: int,
        outcome: Outcome,
        ends: frozenset[int] = frozenset(),
    ) -> Iterator[str]:
        """The text after the tokens of `prompt`, in pieces, drawn as `request` says; `outcome` is filled in.

        `ends` are tokens that end it as the end-of-text token does. Errors as `generate`.
        """
        generator = seeded(seed)
        detokenizer = Detokenizer(self.tokenizer, prompt)
        scanner = StopScanner(request.stop_sequences)
        decoding = Decoding(self.runtime, prompt)
        last = ends | self._edges.stops | {self.tokenizer.eos_id} if request.stop_on_eos else ends
        logits = decoding.start()
        outcome.prompt_cut = decoding.prompt_cut
        while True:
            known = logits[: self.tokenizer.vocab_size]
            token = choose(known, request.temperature, request.top_k, request.top_p, generator)
            outcome.steps += 1
            outcome.eos = token in last
            if outcome.eos:
                break
            if piece := scanner.add(detokenizer.add(token)):
                yield piece
            if scanner.stopped or outcome.steps == request.max_new_tokens:
                break
            logits = decoding.advance(token)
            outcome.slides = decoding.slides
        rest = scanner.add(detokenizer.finish()) + scanner.finish()
        outcome.stopped = scanner.stopped
        if rest:
            yield rest

    def notes_on(self, outcomes: list[Outcome]) -> list[str]:
        """What the reader of these sequences of one prompt should know, in words."""
        window = self.runtime.context
        notes = []
        if cut := outcomes[0].prompt_cut:
            notes.append(f"the prompt has {cut + window} tokens, the context window {window}: the first {cut} were cut")
        if any(outcome.slides for outcome in outcomes):
            notes.append(f"the context window ({window} tokens) was full and slid: the oldest text was no longer seen")
        return notes

    def prompt(self, request: GenerateRequest) -> tuple[list[int], list[str]]:
        _, ids, notes = self._encode(text_of(request.prompt_text or "", request.prompt_path))
        if self._edges.beginning is not None:
            return [self._edges.beginning, *ids], notes
        return ids or [start_token(self.tokenizer)], notes

    def _encode(self, given: str) -> tuple[str, list[int], list[str]]:
        """The text that the model reads, its tokens, and what its reader should know about them."""
        text = normalize_text(given, self.normalization)
        ids = self.tokenizer.encode(text)
        notes = ["the text was normalised as the training text was"] if text != given else []
        if unknown := ids.count(self.tokenizer.unk_id):
            notes.append(f"{unknown} of the {len(ids)} tokens given are unknown to the tokenizer")
        return text, ids, notes


def text_of(text: str | None, path: Path | None) -> str:
    """The text given, or that of the file at `path`."""
    try:
        if path is not None:
            return path.read_bytes().decode("utf-8")
        given = text or ""
        given.encode("utf-8")
    except FileNotFoundError as error:
        raise DataError(ErrorCode.DATA_NOT_FOUND, f"no such file: {path}", "give the path of a text file") from error
    except OSError as error:
        raise DataError(
            ErrorCode.READ_FAILED, f"{path} cannot be read: {error.strerror}", "give a readable text file"
        ) from error
    except UnicodeError as error:
        where = str(path) if path is not None else "the text"
        raise DataError(
            ErrorCode.ENCODING_ERROR, f"{where} is not valid UTF-8: {error}", "convert it to UTF-8 and try again"
        ) from error
    return given
