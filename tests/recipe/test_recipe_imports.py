"""Configurations of axolotl and LLaMA-Factory as recipes: nothing is dropped, what is written holds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from loquela.cli.main import answer
from loquela.core.errors import ErrorCode, RecipeError
from loquela.recipe.imports import axolotl, llama_factory
from loquela.recipe.imports.read import Imported, import_config
from loquela.recipe.loading import load_recipe
from loquela.recipe.schema import Recipe

AXOLOTL = """\
base_model: acme/small-llama
model_type: AutoModelForCausalLM
trust_remote_code: true
load_in_4bit: true
adapter: qlora
lora_r: 32
lora_alpha: 16
lora_dropout: 0.1
lora_target_linear: true
lora_mlp_kernel: true
chat_template: llama3
datasets:
  - path: acme/talks
    type: chat_template
    split: train[:10%]
    field_messages: conversations
    message_property_mappings: {role: from, content: value}
    roles: {user: [human], assistant: [gpt]}
    field_thinking: thoughts
  - path: more.jsonl
    type: chat_template
    field_messages: conversations
    message_property_mappings: {role: from, content: value}
val_set_size: 0.1
sequence_len: 2048
sample_packing: true
micro_batch_size: 2
num_epochs: 3.0
learning_rate: 2e-4
optimizer: paged_adamw_8bit
lr_scheduler: cosine
warmup_steps: 10
max_steps: 200
bf16: auto
fp16:
gradient_checkpointing: true
flash_attention: true
wandb_project: garden
wandb_entity: acme
saves_per_epoch: 1
weight_decay: 0.0
hf_token: hf_0123456789012345678901234567
made_up_key: 7
"""

LLAMA_FACTORY = """\
### model
model_name_or_path: acme/small-qwen
trust_remote_code: true
stage: sft
do_train: true
finetuning_type: lora
lora_rank: 16
lora_target: q_proj,v_proj
dataset: talks, facts
template: qwen
cutoff_len: 1024
max_samples: 1000
output_dir: saves/one
plot_loss: true
save_only_model: false
report_to: [wandb, swanlab]
learning_rate: 1.0e-4
lr_scheduler_type: cosine
warmup_ratio: 0.1
bf16: true
val_size: 0.1
neat_packing: true
deepspeed: z3.json
"""

INFO = {
    "talks": {
        "file_name": "talks.json",
        "formatting": "sharegpt",
        "columns": {"messages": "conversations", "images": "pictures"},
        "tags": {"role_tag": "from", "content_tag": "value", "user_tag": "human", "assistant_tag": "gpt"},
    },
    "facts": {"hf_hub_url": "acme/facts", "ms_hub_url": "acme/facts"},
}


def made(tmp_path: Path, text: str, name: str = "given.yml") -> Imported:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return import_config(path)


def recipe_of(tmp_path: Path, imported: Imported) -> Recipe:
    path = tmp_path / "made.yaml"
    path.write_text(imported.recipe, encoding="utf-8")
    return load_recipe(path).recipe


def outcomes(imported: Imported) -> dict[str, str]:
    return {each.key: each.outcome for each in imported.keys}


def test_every_key_of_axolotl_becomes_something_or_is_listed(tmp_path: Path) -> None:
    imported = made(tmp_path, AXOLOTL)
    found = outcomes(imported)
    assert set(yaml.safe_load(AXOLOTL)) <= set(found)
    recipe = recipe_of(tmp_path, imported)
    assert recipe.finetune is not None and recipe.examples is not None
    tuned, rows = recipe.finetune, recipe.examples
    assert (tuned.base, tuned.method, tuned.lora.rank, tuned.lora.alpha) == ("acme/small-llama", "qlora", 32, 16)
    assert (tuned.lora.target_modules, tuned.lora.dropout) == ("all-linear", 0.1)
    assert (tuned.epochs, tuned.batch_size, tuned.gradient_accumulation_steps) == (3, 2, 1)
    assert (tuned.learning_rate, tuned.warmup_fraction, tuned.max_steps) == (2e-4, 0.05, 200)
    assert (tuned.optimizer, tuned.schedule, tuned.attention) == ("paged_adamw_8bit", "cosine", "flash_attention_2")
    assert rows.sources == ["datasets/acme/talks", "more.jsonl"]
    assert rows.columns.given == {"messages": "conversations", "role": "from", "content": "value"}
    assert rows.roles.user == ["human"]
    assert (rows.max_tokens, rows.pack, rows.validation_fraction, rows.template) == (2048, True, 0.1, "base")
    assert (recipe.track, recipe.tracking.project) == (["wandb"], "garden")
    assert (recipe.compute.precision, recipe.compute.gradient_checkpointing) == ("auto", True)
    assert imported.to_fetch == ["hf download --repo-type dataset acme/talks --local-dir datasets/acme/talks"]


def test_what_axolotl_asks_for_and_nobody_does_is_said_with_its_reason(tmp_path: Path) -> None:
    imported = made(tmp_path, AXOLOTL)
    found = outcomes(imported)
    assert [each.key for each in imported.of("refused")] == ["trust_remote_code"]
    assert found["fp16"] == "needless"
    for key in ("made_up_key", "wandb_entity", "saves_per_epoch", "lora_mlp_kernel", "datasets[0].split"):
        assert found[key] == "left", key
        assert f"#   {key}: " in imported.recipe
    assert found["datasets[0].field_thinking"] == "left"
    assert {each.key for each in imported.of("default")} == {"gradient_accumulation_steps"}
    assert "hf_0123456789012345678901234567" not in imported.recipe + imported.model_dump_json()


def test_datasets_of_llama_factory_are_looked_up_in_its_list(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "dataset_info.json").write_text(json.dumps(INFO))
    imported = made(tmp_path, LLAMA_FACTORY)
    found = outcomes(imported)
    assert set(yaml.safe_load(LLAMA_FACTORY)) <= set(found)
    recipe = recipe_of(tmp_path, imported)
    assert recipe.finetune is not None and recipe.examples is not None
    assert recipe.examples.sources == ["data/talks.json", "datasets/acme/facts"]
    assert recipe.examples.columns.given == {"messages": "conversations", "role": "from", "content": "value"}
    assert recipe.examples.roles.assistant == ["gpt"]
    assert (recipe.finetune.lora.rank, recipe.finetune.lora.alpha, recipe.finetune.lora.dropout) == (16, 32, 0.0)
    assert recipe.finetune.lora.target_modules == ["q_proj", "v_proj"]
    assert (recipe.finetune.batch_size, recipe.finetune.epochs) == (8, 3)
    assert (recipe.examples.pack, recipe.compute.precision, recipe.track) == (True, "bf16", ["wandb"])
    assert recipe.compute.gradient_checkpointing
    assert found["trust_remote_code"] == "refused"
    assert {found["max_samples"], found["dataset talks.columns"], found["deepspeed"]} == {"left"}
    assert "swanlab" in next(each.note for each in imported.keys if each.key == "report_to")


def test_without_its_list_the_datasets_of_llama_factory_are_guessed_and_said(tmp_path: Path) -> None:
    imported = made(tmp_path, LLAMA_FACTORY)
    said = next(each for each in imported.keys if each.key == "dataset")
    assert said.outcome == "changed" and "put in the right files" in said.note
    assert said.to == {"examples.sources": ["data/talks.json", "data/facts.json"]}


def test_a_value_that_no_recipe_holds_is_listed_with_the_reason(tmp_path: Path) -> None:
    text = AXOLOTL.replace("lora_dropout: 0.1", "lora_dropout: 1.5").replace("num_epochs: 3.0", "num_epochs: 0.5")
    imported = made(tmp_path, text)
    notes = {each.key: each.note for each in imported.of("left")}
    assert "1.5 is not allowed" in notes["lora_dropout"]
    assert "whole number" in notes["num_epochs"]
    assert recipe_of(tmp_path, imported).finetune is not None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("base_model: a/b\nrl: grpo\n", "rl: grpo is none of the ways of training"),
        ("base_model: a/b\nreward_model: true\n", "trains a reward model"),
        ("model_name_or_path: a/b\ndataset: x\nstage: ppo\n", "stage: ppo is none"),
        ("model_name_or_path: a/b\ndataset: x\nfinetuning_type: freeze\n", "none of lora and full"),
        ("compute_environment: LOCAL_MACHINE\n", "is no training configuration of axolotl"),
        ("- one\n- two\n", "is no training configuration of axolotl"),
    ],
)
def test_other_work_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(RecipeError, match=said) as caught:
        made(tmp_path, text)
    assert caught.value.code is ErrorCode.UNSUPPORTED_FORMAT


def test_online_reinforcement_learning_is_refused_whole(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="^this configuration cannot be imported: rl: grpo is none of") as caught:
        made(tmp_path, "base_model: a/b\nrl: grpo\n")
    assert caught.value.remedy == "import one that fine-tunes on answers or on preferences (dpo, kto)"


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="neither YAML nor JSON by its name"):
        made(tmp_path, "x = 1", "axolotl.toml")


def test_a_broken_list_of_datasets_is_said(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "dataset_info.json").write_text("[1, 2]")
    with pytest.raises(RecipeError, match="cannot be read as a list of datasets"):
        made(tmp_path, LLAMA_FACTORY)


def test_preferences_keep_their_task(tmp_path: Path) -> None:
    imported = made(tmp_path, "base_model: a/b\nadapter: lora\nrl: dpo\nrl_beta: 0.3\ndatasets: [{path: p.jsonl}]\n")
    recipe = recipe_of(tmp_path, imported)
    assert recipe.finetune is not None
    assert (recipe.finetune.task, recipe.finetune.preference.beta) == ("dpo", 0.3)


VALUES = st.none() | st.booleans() | st.integers(-3, 3000) | st.floats(-1, 3) | st.sampled_from(
    ["auto", "x/y", "3e-4", "inf", "all", "lora", "full", "", "steps", "cosine"]
) | st.lists(st.sampled_from(["q_proj", "v_proj"]), max_size=2)  # fmt: skip


def test_numbers_that_are_none_are_left(tmp_path: Path) -> None:
    text = "base_model: a/b\nadapter: lora\ndatasets: [{path: p.jsonl}]\nbatch_size: false\nmicro_batch_size: 0\n"
    found = outcomes(made(tmp_path, text + "learning_rate: inf\n"))
    assert (found["batch_size"], found["micro_batch_size"], found["learning_rate"]) == ("left", "left", "left")


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_whatever_stands_there_every_key_is_accounted_for(tmp_path_factory: pytest.TempPathFactory, data) -> None:
    program, first, extra = data.draw(
        st.sampled_from(
            [(axolotl, "base_model", ["adapter", "load_in_8bit", "warmup_steps", "batch_size", "dp_x", "other"]),
             (llama_factory, "model_name_or_path", ["warmup_steps", "quantization_bit", "fp8", "other"])]
        )
    )  # fmt: skip
    names = st.sampled_from([*program.RULES, *extra])
    tree = {
        **data.draw(st.dictionaries(names, VALUES, max_size=12)),
        first: "acme/base",
        "dataset": "d",
        "datasets": [{"path": "d"}],
    }
    path = tmp_path_factory.mktemp("import") / "given.json"
    path.write_text(json.dumps(tree))
    imported = import_config(path)
    assert set(tree) <= {each.key for each in imported.keys}
    assert not [each for each in imported.of("left") if "no such key" in each.note]
    assert recipe_of(path.parent, imported).finetune is not None


def test_a_file_without_rows_is_said(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="names no datasets"):
        made(tmp_path, "base_model: a/b\nadapter: lora\n")


def test_the_command_writes_the_recipe_and_says_what_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "axolotl.yml").write_text(AXOLOTL)
    assert answer(["config", "import", "axolotl.yml", "--output", "mine.yaml"]) == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert "refused:\n  trust_remote_code = true" in err
    assert "loquela validate mine.yaml" in err
    assert answer(["config", "import", "axolotl.yml", "--output", "mine.yaml"]) == 2
    assert "exists already and is kept" in capsys.readouterr().err
    assert answer(["config", "import", "axolotl.yml", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["program"] == "axolotl"
    assert shown["recipe"] == (tmp_path / "mine.yaml").read_text()
