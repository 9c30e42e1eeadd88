"""What a key is, where its value came from, and what it changes."""

from __future__ import annotations

from pydantic import JsonValue

from loquela.core.model import BoundaryModel
from loquela.recipe.keys import recipe_keys, recipe_sections, values_of
from loquela.recipe.layers import unknown_key
from loquela.recipe.origins import Origin, ResolvedRecipe
from loquela.recipe.problems import recipe_error

INFLUENCES = {
    "schema_version": "which Loquela can read the file; nothing in the run",
    "name": "the run id only; `--resume auto` looks for runs of this name",
    "seed": "the first weights, the order of examples, dropout, the samples; not which documents are held out",
    "output_directory": "where runs and artifacts lie; another place starts with an empty cache",
    "resume_from_checkpoint": "whether a run starts anew or goes on; never the numbers of a run",
    "skip_phases": "which artifacts must exist already",
    "data": "the corpus, and through it the tokenizer, the shards and every later stage",
    "data.corpus_size_mb": "the disk space asked for before anything is downloaded",
    "data.seed": "which documents are held out, and which stories the generator tells",
    "data.timeout_seconds": "how long a source may stay silent before it counts as unreachable",
    "data.validation_fraction": "how much text is held out: less to train on, a steadier validation loss",
    "data.normalization": "the text that tokenizer and model see, in training and in use",
    "tokenizer": "tokens per character, and with it sequence length, loss per token and time per epoch",
    "tokenizer.vocab_size": "embedding and head: vocab_size × d_model parameters; most of the time of a small model",
    "model": "parameters, memory, time per step; another shape cannot resume a checkpoint",
    "model.size": "every key of model, tokenizer and train that the recipe leaves out and the dial derives",
    "model.num_layers": "parameters, memory and time, in proportion",
    "model.d_model": "parameters and time: squared in the layers, in proportion in embedding and head",
    "model.num_heads": "how attention is divided; neither parameters nor, much, time",
    "model.dim_feedforward": "parameters and time of the feed-forward part, in proportion",
    "model.max_sequence_length": "memory of a row in proportion; attention time squared; how far the model looks back",
    "train": "the course of training; the corpus, tokenizer and shards stay as they are",
    "train.epochs": "time in proportion, and the learning-rate schedule, which spans all steps",
    "train.batch_size": "activation memory in proportion; fewer, steadier steps per epoch",
    "train.gradient_accumulation_steps": "rows per optimizer step without more memory",
    "train.learning_rate": "speed and stability of learning; the first key to lower when the loss explodes",
    "train.log_every_steps": "how often the host waits for the device; nothing in the weights",
    "train.checkpoint_every_steps": "how much work a crash can cost, and disk traffic; nothing in the weights",
    "train.keep_checkpoints": "disk space",
    "evaluate": "what is measured and what fails the run; never the weights",
    "qa": "which questions and answers are made from the corpus, and what they cost; never the corpus",
    "qa.concurrency": "time; and how many requests a kill can make go out twice",
    "qa.max_cost_usd": "when asking stops; never what is asked",
    "examples": "which rows are fine-tuned on, how they are shown and split; never the corpus",
    "examples.on_bad_row": "whether a row that cannot be learnt from stops the stage or is left out, counted",
    "examples.on_overlong": "what is learnt of texts longer than max_tokens",
    "examples.pack": "speed of fine-tuning; which texts share a row",
    "finetune": "what the adapter learns and how; the base stays as it is",
    "finetune.base": "every later stage; rows are made anew with its tokenizer and template",
    "finetune.batch_size": "activation memory and speed; with gradient_accumulation_steps the rows of a step",
    "finetune.gradient_accumulation_steps": "rows per optimizer step without more memory",
    "finetune.log_every_steps": "how often a line of metrics is written; nothing in the weights",
    "finetune.checkpoint_every_steps": "how much work a crash can cost; nothing in the weights",
    "finetune.keep_checkpoints": "disk space",
    "finetune.proofs": "what stops a run that would go wrong; nothing in the weights",
    "finetune.merge": "whether the merged model is kept; never the adapter",
    "export": "which formats are made, and how near to the model each must be; never the model",
    "deploy": "what an export must hold to before it may be promoted; never the export itself",
    "deploy.load": "how the bundle is asked while it is measured; never the bundle",
    "track": "who else is told of a run's numbers; never the run",
    "tracking": "where trackers keep the run; never the run",
    "alerts": "who is told what of a run, and when; never the run",
    "compute": "speed and memory; on one device and precision, not the result",
    "compute.device": "speed; results of different devices differ in the last digits",
    "compute.precision": "speed and memory; bf16 and fp16 round more than fp32",
    "compute.deterministic": "whether two runs give the same bits",
}


class Explanation(BoundaryModel):
    """All there is to say about one key of a resolved recipe."""

    key: str
    value: JsonValue
    origin: Origin
    default: JsonValue
    allowed: str
    description: str
    influences: str


def explain(resolved: ResolvedRecipe, path: str = "") -> list[Explanation]:
    """The explanation of one key, or of every key of a section; an empty path is the whole recipe.

    Raises RecipeError(CONFIG_INVALID) with the nearest name for a path that no recipe has.
    """
    keys = recipe_keys()
    if path and path not in keys and path not in recipe_sections():
        raise recipe_error([unknown_key(path, "")])
    values = values_of(resolved.recipe)
    return [
        Explanation(
            key=key.path,
            value=values.get(key.path),
            origin=resolved.origins.get(key.path, Origin(kind="default")),
            default=key.default,
            allowed=key.allowed,
            description=key.description,
            influences=influence(key.path),
        )
        for key in keys.values()
        if not path or key.path == path or key.path.startswith(path + ".")
    ]


def influence(path: str) -> str:
    """What a key changes, from the nearest entry at or above it."""
    while path and path not in INFLUENCES:
        path = path.rpartition(".")[0]
    return INFLUENCES[path]
