"""Plans of fine-tuning: parts by hand, the cheapest GPU that fits, and what makes a recipe fit."""

from __future__ import annotations

import json

import pytest

from loquela.cli.main import answer
from loquela.core.errors import RecipeError, ResourceError
from loquela.finetuning.planning.base_shape import known_bases
from loquela.finetuning.planning.fit import fit_recipe, parse_gib, with_values
from loquela.finetuning.planning.gpus import load_gpus
from loquela.finetuning.planning.memory import Load, trained_parameters, tuning_memory, weight_bytes
from loquela.finetuning.planning.plan import Materials, memory_for, plan_tuning
from loquela.finetuning.planning.rows import RowFacts, counted_rows, estimated_rows
from loquela.finetuning.planning.shape import shape_of
from loquela.recipe.examples_section import ExamplesSection
from loquela.recipe.finetune_section import FinetuneSection
from loquela.recipe.schema import Recipe

LLAMA = "meta-llama/Llama-3.1-8B-Instruct"
ROWS = RowFacts(
    rows=1000, tokens=500_000, trained_tokens=250_000, longest=2048, mean_longest=800.0, counted=True, said="counted"
)


def shape(name=LLAMA):
    return shape_of(known_bases()[name], name)


def section(**values):
    return FinetuneSection.model_validate({"base": LLAMA, **values})


def recipe_of(finetune=None, **values):
    given = {"finetune": {"base": LLAMA, **(finetune or {})}, "examples": {"sources": ["rows.jsonl"]}}
    return Recipe.model_validate({**given, **values})


def materials(rows=ROWS):
    return Materials(shape(), "known", rows, load_gpus(), 1.0)


def test_trained_parameters_by_hand():
    # rank × (in + out), 32 layers: q, o 4096+4096; k, v 4096+1024; gate, up, down 4096+14336
    each = 2 * 8192 + 2 * 5120 + 3 * 18432
    assert trained_parameters(shape(), section()) == 32 * 16 * each == 41_943_040
    assert trained_parameters(shape(), section(lora={"target_modules": ["q_proj", "v_proj"]})) == 32 * 16 * 13312
    outputs = 4096 + 1024 + 1024 + 4096 + 14336 + 14336 + 4096
    assert trained_parameters(shape(), section(lora={"dora": True})) == 32 * (16 * each + outputs)
    assert trained_parameters(shape(), section(method="full")) == 8_030_261_248


def test_weights_by_quantisation_by_hand():
    matrices, rest = 6_979_321_856, 8_030_261_248 - 6_979_321_856
    assert weight_bytes(shape(), section(), 2) == 2 * 8_030_261_248
    assert weight_bytes(shape(), section(method="full"), 2) == 4 * 8_030_261_248
    doubled = 0.5 + 1 / 64 + 4 / 16384
    assert weight_bytes(shape(), section(method="qlora"), 2) == round(matrices * doubled) + 2 * rest
    plain = section(method="qlora", quantization={"double": False})
    assert weight_bytes(shape(), plain, 2) == round(matrices * 0.5625) + 2 * rest
    assert weight_bytes(shape(), section(method="int8_lora"), 2) > matrices + 2 * rest


def test_optimizers_and_checkpointing_count():
    load = Load(rows=1, row_tokens=2048, trained_tokens=1024, masked=False)

    def memory(checkpointing=True, **values):
        return tuning_memory(
            shape(), section(**values), load, device="cuda", element_bytes=2, checkpointing=checkpointing
        )

    assert memory().optimizer == 8 * 41_943_040
    assert memory(optimizer="adamw_8bit").optimizer == round(2.03125 * 41_943_040)
    assert memory(optimizer="sgd").optimizer == 0
    assert memory(method="full").adapter == 0
    assert memory(checkpointing=False).activations > 10 * memory().activations


def test_the_cheapest_that_fits_is_named(monkeypatch):
    monkeypatch.setattr("loquela.compute.preflight.products_per_second", lambda compute, width: 100e9)
    plan = plan_tuning(recipe_of({"method": "qlora", "batch_size": 1}), materials())
    fitting = {each.name: each.usd for each in plan.gpus if each.fits}
    assert fitting and "RTXA4000" not in fitting
    assert plan.cheapest == min(fitting, key=fitting.get)
    # 1000 rows / (1 × 4) = 250 steps, 3 epochs
    assert (plan.steps_total, plan.effective_batch, plan.tokens_total) == (750, 4, 1_500_000)
    large = plan_tuning(recipe_of({"method": "full", "batch_size": 64}), materials())
    assert large.cheapest is None
    assert not any(each.fits for each in large.gpus)
    assert plan.gpus[0].usd is not None and plan.gpus[0].minutes > 1


def test_a_longer_training_takes_longer(monkeypatch):
    monkeypatch.setattr("loquela.compute.preflight.products_per_second", lambda compute, width: 100e9)
    short = plan_tuning(recipe_of({"epochs": 1}), materials())
    long = plan_tuning(recipe_of({"epochs": 4}), materials())
    capped = plan_tuning(recipe_of({"epochs": 4, "max_steps": 10}), materials())
    assert long.training_minutes == pytest.approx(4 * short.training_minutes, rel=1e-3)
    assert capped.steps_total == 10
    again = plan_tuning(recipe_of({"epochs": 1}, compute={"gradient_checkpointing": True}), materials())
    assert 1.3 < again.training_minutes / short.training_minutes < 1.6


def test_fit_keeps_the_rows_of_a_step():
    recipe = recipe_of({"method": "qlora", "batch_size": 12, "gradient_accumulation_steps": 2})
    fit = fit_recipe(recipe, materials(), 24)
    assert fit.needed_before_gib > 24 > fit.needed_after_gib
    changed = with_values(recipe, fit.after)
    assert changed.finetune.batch_size * changed.finetune.gradient_accumulation_steps == 24 == fit.effective_batch
    assert fits_now(changed, 24)
    larger = with_values(changed, {"finetune.batch_size": changed.finetune.batch_size * 12})
    assert not fits_now(larger, 24)
    assert fit_recipe(recipe_of({"method": "qlora", "batch_size": 1}), materials(), 141).after == {}
    assert parse_gib("24GB") == parse_gib("24 GiB") == parse_gib("24") == 24
    with pytest.raises(RecipeError, match="'much' is no size"):
        parse_gib("much")


def fits_now(recipe, gib):
    return memory_for(recipe, shape(), ROWS, "cuda").total <= 0.94 * gib * 2**30


def test_what_cannot_fit_says_which_part_and_what_to_do():
    with pytest.raises(ResourceError, match=r"still need .* largest part is weights") as caught:
        fit_recipe(recipe_of({"method": "lora"}), materials(), 12)
    assert caught.value.remedy.startswith("set finetune.method: qlora")
    rows = ROWS.model_copy(update={"longest": 131072})
    with pytest.raises(ResourceError, match="largest part is") as caught:
        fit_recipe(recipe_of({"method": "qlora"}), materials(rows), 24)
    assert "examples.max_tokens" in caught.value.remedy


def test_rows_are_estimated_from_files_and_said_so(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps({"prompt": "p" * 100, "completion": "c" * 280}) + "\n" for _ in range(100)))
    facts = estimated_rows(ExamplesSection(sources=[str(path)], validation_fraction=0.1), None, 2048)
    assert facts.rows == 90
    assert facts.tokens == pytest.approx(path.stat().st_size / 4 * 0.9, rel=0.01)
    assert not facts.counted and "estimated" in facts.said
    packed = ExamplesSection(sources=[str(path)], max_tokens=512, pack=True, validation_fraction=0)
    assert estimated_rows(packed, None, 2048).rows == -(-path.stat().st_size // 4 // 512)


def test_rows_of_an_artifact_are_counted(tmp_path):
    import numpy as np

    from loquela.artifacts.token_rows import TokenSequence, write_token_rows

    def sequence(name, length, learnt):
        weights = np.zeros(length, dtype=np.float32)
        weights[-learnt:] = 1
        return TokenSequence(name, np.zeros(length, dtype=np.uint32), weights)

    rows = [[sequence("a", 10, 4)], [sequence("b", 6, 2), sequence("c", 5, 3)], [sequence("d", 20, 1)]]
    write_token_rows(tmp_path, "train", rows)
    facts = counted_rows(tmp_path, 1)
    assert (facts.rows, facts.tokens, facts.trained_tokens, facts.longest) == (3, 41, 10, 20)
    assert facts.mean_longest == pytest.approx(41 / 3)
    assert counted_rows(tmp_path, 3).mean_longest == 20
    assert facts.counted


def test_prices_of_ones_own(tmp_path):
    table = load_gpus()
    assert all(gpu.peak for gpu in table.gpus)
    assert table.named("l40s").name == "L40S"
    with pytest.raises(RecipeError, match="no such GPU type 'H1000'; did you mean 'H100'"):
        table.named("H1000")
    path = tmp_path / "prices.json"
    path.write_text('{"what": "mine", "gpus": [{"name": "X", "device": "none", "memory_gb": 8, "usd_per_hour": -1}]}')
    with pytest.raises(RecipeError, match=r"gpus.0.usd_per_hour: Input should be greater than 0"):
        load_gpus(path)


def test_the_command_saves_what_fits_with_comments_kept(tmp_path, capsys):
    rows = tmp_path / "rows.jsonl"
    rows.write_text("".join(json.dumps({"prompt": "p" * 500, "completion": "c" * 900}) + "\n" for _ in range(40)))
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        f"# mine\noutput_directory: {tmp_path / 'data'}\nfinetune:\n  base: Qwen/Qwen3-8B  # good\n  method: qlora\n"
        f"  batch_size: 32\n  gradient_accumulation_steps: 1\nexamples:\n  sources: [{rows}]\n"
    )
    assert answer(["plan", str(recipe), "--fit", "24GB", "--write", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    text = recipe.read_text()
    assert text.startswith("# mine\n") and "base: Qwen/Qwen3-8B  # good\n" in text
    assert f"batch_size: {said['fit']['after']['finetune.batch_size']}\n" in text
    assert said["fit"]["effective_batch"] == 32 == said["effective_batch"]
    assert answer(["plan", str(recipe), "--fit", "24GB"]) == 0
    shown = capsys.readouterr().out
    assert "fits into 24 GiB as it is" in shown
    assert "cheapest that fits" in shown
    assert "estimated" in shown


def test_a_recipe_in_toml_is_not_edited(tmp_path, capsys):
    rows = tmp_path / "rows.jsonl"
    rows.write_text(json.dumps({"prompt": "p" * 5000, "completion": "c" * 9000}) + "\n")
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(
        f'[finetune]\nbase = "Qwen/Qwen3-8B"\nmethod = "qlora"\nbatch_size = 64\n[examples]\nsources = ["{rows}"]\n'
    )
    assert answer(["plan", str(recipe), "--fit", "24GB", "--write"]) == 2
    assert "is TOML, and only YAML recipes are edited" in capsys.readouterr().err
