"""All of them, by name: what goes wrong, and the proof or error code of Loquela that should say so."""

from __future__ import annotations

from planted.contract import Fault

# name → what goes wrong, and what should name it.
KNOWN = {
    "typo_in_recipe": ("a key of the recipe is misspelt: `lerning_rate`", "CONFIG_INVALID"),
    "learning_rate_zero": ("the learning rate is 0", "CONFIG_INVALID"),
    "truncated": ("a row is longer than the default limit", "SEQUENCE_TOO_LONG"),
    "nothing_to_learn": ("a row has no room for its answer", "SEQUENCE_TOO_LONG"),
    "empty_answer": ("an answer is empty", "CORRUPT_DATA"),
    "null_answer": ("an answer is null", "CORRUPT_DATA"),
    "control_text": ("a user's text spells the template's control tokens", "CORRUPT_DATA"),
    "duplicate_keys": ("a row has a key twice, with two answers", "CORRUPT_DATA"),
    "held_out_leaks": ("held-out rows are among those that are learnt", "ledger: duplicate"),
    "equal_preferences": ("chosen and rejected are the same answer", "CORRUPT_DATA"),
    "stop_not_trained": ("the template ends no answer", "stop_token"),
    "unknown_control_tokens": ("the template's control tokens are not in the vocabulary", "stop_token"),
    "begin_doubled": ("rows begin twice: template and tokenizer both see to it", "template_parity"),
    "rows_lost": ("a row is lost between the file and the training", "all_rows_accounted"),
    "prompt_learnt": ("questions are learnt along with the answers", "collated_labels"),
    "labels_shifted": ("labels are shifted once too often", "collated_labels"),
    "padding_learnt": ("padding is learnt", "collated_labels"),
    "stop_masked": ("padding = end of text, and the stop token is masked with it", "collated_labels"),
    "preferences_swapped": ("better and worse answers change places on their way into a batch", "collated_labels"),
    "contaminated_packing": ("packed rows see each other", "packing_isolation"),
    "mean_of_means": ("micro-batches are each divided by their own tokens", "accumulation_invariance"),
    "adapter_off": ("the adapter is switched off", "effective_settings"),
    "optimizer_of_a_copy": ("the optimizer holds copies of the weights", "effective_settings"),
    "target_typo": ("one of two target modules is misspelt", "CONFIG_INVALID"),
    "base_learns": ("a weight of the base learns along", "only_adapter_trainable"),
    "base_written": ("something writes into the base while it trains", "base_unchanged"),
    "damaged_base": ("an embedding of the base is not a number", "finite_weights"),
    "quantised_scales": ("evaluation repacks a 4-bit base: its scales rounded, gradients cut", "adapter_on"),
    "resume_other_data": ("resumed on other rows", "DATA_CHANGED"),
    "resume_other_settings": ("resumed with another batch size", "CHECKPOINT_INCOMPATIBLE"),
    "resume_other_seed": ("resumed with another seed", "CHECKPOINT_INCOMPATIBLE"),
    "resume_other_base": ("resumed upon changed weights of the base", "DATA_CHANGED"),
    "resume_without_optimizer": ("resumed without the optimizer's state", "rehearsal"),
    "tampered_base": ("the base's files changed after the training", "DATA_CHANGED"),
    "tampered_adapter": ("one bit of the adapter is flipped", "CORRUPTION"),
    "tampered_config": ("lora_alpha is doubled in the adapter's configuration", "CORRUPTION"),
    "other_template": ("the chat template beside the adapter is another", "CORRUPTION"),
    "adapter_on_other_base": ("the adapter is loaded on another base", "CHECKPOINT_INCOMPATIBLE"),
    "merge_on_other_base": ("the adapter is merged into another base", "COMPATIBILITY_ERROR"),
    "qlora_merged_on_full_base": (
        "a QLoRA adapter is merged into the unquantised base",
        "PERFORMANCE_BELOW_THRESHOLD",
    ),
}


def all_faults() -> list[Fault]:
    """Every fault with both sides; TRL takes seconds to import."""
    from planted import our_faults, trl_faults

    return [
        Fault(name, what, expected, getattr(our_faults, name), getattr(trl_faults, name))
        for name, (what, expected) in KNOWN.items()
    ]
