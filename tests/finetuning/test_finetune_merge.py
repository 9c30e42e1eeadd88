"""A merged model answers as the adapter on its base does, in plain transformers; else it is refused."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from loquela.artifacts.adapter import open_adapter
from loquela.artifacts.manifest import verify, write_manifest
from loquela.artifacts.merge_report import read_merge_report
from loquela.artifacts.token_rows import TokenRow
from loquela.core.errors import DataError, ErrorCode, ProofError
from loquela.finetuning.merging.alone import AdapterPlace, merge_adapter
from loquela.finetuning.merging.merge import Merge
from loquela.finetuning.merging.prompts import _prompts_of, from_examples
from loquela.finetuning.merging.rewriting import rewrite
from loquela.finetuning.merging.updates import read_updates
from loquela.models.pretrained.load import QuantizationPlan
from loquela.models.pretrained.open import open_base
from loquela.monitoring.events import SilentBus
from loquela.recipe.finetune_section import MergeOptions
from toy_adapters import make_adapter, make_rows
from toy_bases import copied_base, toy_base

NF4 = QuantizationPlan("nf4", "fp32")
SHAPES = [
    ("llama", {}),
    ("smollm", {"rslora": True}),
    ("qwen2", {"dora": True}),
    ("gpt2", {}),
    ("gpt2", {"dora": True}),
    ("mixtral", {}),
    ("mistral", {"target_modules": ["q_proj", "down_proj"]}),
]


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    return make_rows(tmp_path_factory.mktemp("rows") / "examples")


def merge_of(adapter, base, place, rows, options=None, quantization=None):
    prompts = from_examples(rows, 4, 256)
    assert prompts is not None
    return Merge(
        base=open_base(base),
        adapter=open_adapter(adapter),
        place=place,
        prompts=prompts,
        options=options or MergeOptions(),
        quantization=quantization,
        parents={"adapter": "a" * 64},
        bus=SilentBus(),
    )


@torch.no_grad()
def logits_of(model):
    return model.eval()(input_ids=torch.tensor([[5, 60, 70, 8, 9, 100, 33, 12]])).logits


@pytest.mark.parametrize(("shape", "options"), SHAPES, ids=[f"{shape}-{'-'.join(opts)}" for shape, opts in SHAPES])
def test_plain_transformers_and_plain_peft_give_the_same(tmp_path, rows, shape, options):
    import peft
    import transformers

    base = toy_base(shape)
    adapter = make_adapter(tmp_path / "an adapter", base, **options)
    place = tmp_path / "merged here"
    merge_of(adapter, base, place, rows).run()
    plain = transformers.AutoModelForCausalLM.from_pretrained(place, dtype=torch.float32)
    stock = transformers.AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    untouched = logits_of(stock)
    adapted = logits_of(peft.PeftModel.from_pretrained(stock, adapter))
    torch.testing.assert_close(logits_of(plain), adapted, rtol=1e-4, atol=1e-4)
    assert (adapted - untouched).abs().max() > 0.05
    report = read_merge_report(place)
    assert report.passed
    assert report.chosen == "full"
    assert report.taken.mean_kl < 1e-9
    assert report.positions_compared == 4 * 12
    assert verify(place, "merged").parents == {"adapter": "a" * 64}
    assert transformers.AutoTokenizer.from_pretrained(place).chat_template == (base / "chat_template.jinja").read_text()


def test_what_the_adapter_does_not_touch_keeps_every_byte(tmp_path, rows):
    base = toy_base()
    adapter = make_adapter(tmp_path / "adapter", base, target_modules=["q_proj"])
    merge_of(adapter, base, tmp_path / "merged", rows).run()
    before, after = (load_file(folder / "model.safetensors") for folder in (base, tmp_path / "merged"))
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {f"model.layers.{layer}.self_attn.q_proj.weight" for layer in (0, 1)}
    taken = read_merge_report(tmp_path / "merged").taken
    assert (taken.changed_tensors, taken.tensors) == (2, len(before))
    sizes = [(folder / "model.safetensors").stat().st_size for folder in (base, tmp_path / "merged")]
    assert sizes[0] == sizes[1]


def test_a_base_in_several_files_of_half_precision_stays_that(tmp_path, rows):
    base = copied_base(tmp_path / "base")
    tensors = {name: tensor.bfloat16() for name, tensor in load_file(base / "model.safetensors").items()}
    (base / "model.safetensors").unlink()
    names, mapping = sorted(tensors), {}
    for number, part in enumerate((names[::2], names[1::2]), start=1):
        file = f"model-0000{number}-of-00002.safetensors"
        save_file({name: tensors[name] for name in part}, base / file, metadata={"format": "pt"})
        mapping |= dict.fromkeys(part, file)
    (base / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": mapping}))
    adapter = make_adapter(tmp_path / "adapter", base)
    merge_of(adapter, base, tmp_path / "merged", rows).run()
    assert sorted(path.name for path in (tmp_path / "merged").glob("*.safetensors")) == sorted(set(mapping.values()))
    taken = read_merge_report(tmp_path / "merged").taken
    assert taken.number_format == ["BF16"]
    # Rounding to 8 bits of mantissa is seen, and is small.
    assert 1e-9 < taken.mean_kl < 1e-3


def test_of_a_quantised_base_both_readings_are_tried_and_the_nearer_is_taken(tmp_path, rows):
    adapter = make_adapter(tmp_path / "adapter", quantization=NF4)
    limits = MergeOptions(max_mean_kl=10, min_top1_agreement=0)
    merge_of(adapter, toy_base(), tmp_path / "merged", rows, limits, NF4).run()
    report = read_merge_report(tmp_path / "merged")
    full, dequantized = report.candidates
    assert (full.base, dequantized.base, report.chosen) == ("full", "dequantized", "dequantized")
    assert dequantized.mean_kl < 1e-6 < 1e-5 < full.mean_kl
    assert "nf4" in report.reference


def test_an_adapter_says_itself_how_its_base_was_stored_and_where_it_lies(tmp_path, rows):
    adapter = make_adapter(tmp_path / "adapter", quantization=NF4)
    wide = MergeOptions(max_mean_kl=10, min_top1_agreement=0, prompts=2)
    given = AdapterPlace(adapter, tmp_path / "merged", examples=rows, options=wide)
    manifest, before = merge_adapter(given, SilentBus())
    assert not before
    assert [each.base for each in read_merge_report(tmp_path / "merged").candidates] == ["full", "dequantized"]
    assert manifest.parents == open_adapter(adapter).lineage
    assert merge_adapter(given, SilentBus()) == (manifest, True)


def test_full_precision_alone_is_refused_where_it_is_too_far_and_the_report_stays(tmp_path, rows):
    adapter = make_adapter(tmp_path / "adapter", quantization=NF4)
    limits = MergeOptions(bases=["full"], max_mean_kl=1e-6, min_greedy_match=1.0)
    merge = merge_of(adapter, toy_base(), tmp_path / "merged", rows, limits, NF4)
    with pytest.raises(ProofError, match=r"on the full base: mean KL .* allowed 1e-06.*nothing is published") as caught:
        merge.run()
    assert caught.value.code is ErrorCode.PERFORMANCE_BELOW_THRESHOLD
    kept = json.loads((tmp_path / "merged.failed.json").read_text())
    assert kept["passed"] is False
    assert kept["chosen"] is None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["adapter", "merged.failed.json"]


def test_a_refusal_leaves_an_older_merged_model_and_a_success_removes_the_old_refusal(tmp_path, rows):
    adapter = make_adapter(tmp_path / "adapter", quantization=NF4)
    wide = MergeOptions(max_mean_kl=10, min_top1_agreement=0)
    old = merge_of(adapter, toy_base(), tmp_path / "merged", rows, wide, NF4).run()
    strict = MergeOptions(bases=["full"], max_mean_kl=1e-9)
    with pytest.raises(ProofError):
        merge_of(adapter, toy_base(), tmp_path / "merged", rows, strict, NF4).run()
    assert verify(tmp_path / "merged").digest == old.digest
    merge_of(adapter, toy_base(), tmp_path / "merged", rows, wide, NF4).run()
    assert not (tmp_path / "merged.failed.json").exists()


def test_another_base_is_refused_by_name(tmp_path, rows):
    adapter = make_adapter(tmp_path / "adapter")
    other = copied_base(tmp_path / "other")
    tensors = load_file(other / "model.safetensors")
    tensors["model.norm.weight"] += 1
    save_file(tensors, other / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(DataError, match=r"was trained on .* not on .*other: model\.safetensors") as caught:
        merge_of(adapter, other, tmp_path / "merged", rows).run()
    assert caught.value.code is ErrorCode.COMPATIBILITY_ERROR
    assert not (tmp_path / "merged").exists()


def tampered(adapter, change):
    """The adapter with other tensors, sealed again as somebody would who wants to deceive."""
    tensors = change(load_file(adapter / "adapter_model.safetensors"))
    save_file(tensors, adapter / "adapter_model.safetensors", metadata={"format": "pt"})
    (adapter / "manifest.json").unlink()
    write_manifest(adapter, "adapter")
    return adapter


def test_updates_beyond_the_number_format_are_refused(tmp_path, rows):
    adapter = make_adapter(tmp_path / "adapter")
    tampered(adapter, lambda tensors: {name: tensor * 1e38 for name, tensor in tensors.items()})
    with pytest.raises(DataError, match=r"too large for F32|is no number"):
        merge_of(adapter, toy_base(), tmp_path / "merged", rows).run()
    assert not (tmp_path / "merged").exists()


def test_a_matrix_of_another_shape_is_refused(tmp_path, rows):
    adapter = make_adapter(tmp_path / "adapter")
    name = "base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight"
    tampered(adapter, lambda tensors: {**tensors, name: torch.zeros(31, 4)})
    with pytest.raises(DataError, match=r"changes model\.layers\.0\.self_attn\.q_proj by a matrix of \(31, 32\)"):
        merge_of(adapter, toy_base(), tmp_path / "merged", rows).run()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda tensors: {**tensors, "base_model.model.lm_head.weight": torch.zeros(2)}, "is no LoRA of a matrix"),
        (lambda tensors: {name: t for name, t in tensors.items() if "lora_A" not in name}, "has no lora_A"),
    ],
)
def test_tensors_that_are_no_update_of_a_matrix_are_refused(tmp_path, rows, change, said):
    adapter = tampered(make_adapter(tmp_path / "adapter"), change)
    with pytest.raises(DataError, match=said):
        merge_of(adapter, toy_base(), tmp_path / "merged", rows).run()


def test_a_tampered_adapter_is_not_opened(tmp_path):
    adapter = make_adapter(tmp_path / "adapter")
    weights = adapter / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    with pytest.raises(DataError, match=r"adapter_model\.safetensors is not the one in the manifest"):
        open_adapter(adapter)


def test_rows_that_were_learnt_are_said_to_be_that(tmp_path):
    trained = make_rows(tmp_path / "trained", split="train")
    assert from_examples(trained, 2, 256).origin == "trained-on rows of the examples (train)"
    nothing = tmp_path / "nothing"
    nothing.mkdir()
    assert from_examples(nothing, 2, 256) is None


def test_a_merge_that_dies_leaves_nothing_under_its_name_and_the_next_one_cleans_up(tmp_path, rows, monkeypatch):
    adapter = make_adapter(tmp_path / "adapter")
    stray = tmp_path / ".tmp-merged-999999999"
    stray.mkdir()
    merge = merge_of(adapter, toy_base(), tmp_path / "merged", rows)
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr("loquela.finetuning.merging.merge.compare", interrupted)
        merge.run()
    assert not (tmp_path / "merged").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["adapter"]
    merge.run()
    verify(tmp_path / "merged", "merged")


def interrupted(*_):
    raise KeyboardInterrupt


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path, rows, monkeypatch):
    adapter = make_adapter(tmp_path / "adapter")
    merge = merge_of(adapter, toy_base(), tmp_path / "merged", rows)

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("loquela.finetuning.merging.merge.rewrite", full)
    with pytest.raises(Exception, match="no space left on the file system") as caught:
        merge.run()
    assert caught.value.code is ErrorCode.DISK_FULL
    assert [path.name for path in tmp_path.iterdir()] == ["adapter"]


def test_numbers_that_nothing_can_be_added_to_are_refused(tmp_path):
    adapter = make_adapter(tmp_path / "adapter")
    updates = read_updates(adapter)
    base, target = tmp_path / "base", tmp_path / "target"
    base.mkdir()
    target.mkdir()
    tensors = {f"{update.module}.weight": torch.ones(4, 4, dtype=torch.int8) for update in updates}
    save_file(tensors, base / "model.safetensors")
    with pytest.raises(DataError, match="is stored as I8, and nothing can be added to such numbers"):
        rewrite(base, ["model.safetensors"], updates, target, {})


def test_updates_of_experts_beyond_the_number_format_are_refused(tmp_path, rows):
    adapter = make_adapter(tmp_path / "adapter", toy_base("mixtral"))
    tampered(adapter, lambda tensors: {name: tensor * 1e38 for name, tensor in tensors.items()})
    with pytest.raises(DataError, match=r", merged, is no finite number of F32 in places"):
        merge_of(adapter, toy_base("mixtral"), tmp_path / "merged", rows).run()
    assert not (tmp_path / "merged").exists()


def test_the_preferred_splits_and_whole_rows_without_learnt_tokens():
    """Packed rows are taken apart; where nothing is learnt every position is compared."""
    row = TokenRow(
        ("a", "b"),
        np.arange(3, 13, dtype=np.uint32),
        np.array([0, 0, 1, 1, 0, 0, 0, 0, 0, 0], np.float32),
        (4, 6),
    )
    first, second = _prompts_of(row, 256)
    assert (first.ids, first.positions, first.asked) == ((3, 4, 5, 6), (1, 2), 2)
    assert (second.ids, second.positions, second.asked) == (tuple(range(7, 13)), (0, 1, 2, 3, 4), 3)
    assert [len(each.ids) for each in _prompts_of(row, 3)] == [3, 3]
