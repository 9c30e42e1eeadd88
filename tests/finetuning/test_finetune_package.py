"""The final artifact: seed 004's files, a passport that can be checked offline, and whatever was changed named."""

import json
import shutil

import pytest

from loquela.artifacts.base import write_base
from loquela.artifacts.checksums import generate_artifact_checksum, generate_file_checksum, verify_artifact_integrity
from loquela.artifacts.final_artifact import load_artifact_metadata
from loquela.artifacts.manifest import read_manifest, write_manifest
from loquela.artifacts.passport import is_artifact, verify_artifact
from loquela.core.errors import DataError, ErrorCode, ProofError, ResourceError
from loquela.finetuning.packaging.card import generate_adapter_readme
from loquela.finetuning.packaging.metadata import create_artifact_metadata
from loquela.finetuning.packaging.package import save_adapter_artifact
from loquela.finetuning.packaging.records import write_run_records
from loquela.models.pretrained.adapted import load_adapted
from toy_bases import copied_base, toy_base
from toy_package import make_package, make_sources

SEED_FILES = {
    "adapter_config.json",
    "adapter_model.safetensors",
    "metadata.json",
    "training_config.yaml",
    "training_metrics.json",
    "checksums.json",
    "README.md",
}


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    return make_package(tmp_path_factory.mktemp("a place with spaces") / "data")


@pytest.fixture
def package(original, tmp_path):
    """A copy of the whole output directory, so that everything it was made from is beside it again."""
    shutil.copytree(original.parents[2], tmp_path / "data")
    return tmp_path / "data" / "runs" / "toy-1" / "final_artifact"


def failed(directory) -> dict[str, str]:
    return {proof.name: proof.message for proof in verify_artifact(directory).proofs if not proof.passed}


def test_it_has_every_file_and_says_where_it_comes_from(original):
    names = {path.name for path in original.iterdir()}
    assert names >= SEED_FILES
    assert names >= {"manifest.json", "base.json", "chat_template.jinja", "tokenizer.json", "preflight.json"}
    assert names >= {"evaluation.json", "merge_report.json"}
    metadata = load_artifact_metadata(original)
    assert metadata.base.unchanged
    assert metadata.base.files_before == metadata.base.files_after != {}
    assert [link.role for link in metadata.chain] == [
        "documents", "qa", "examples", "base", "adapter", "comparison", "merged",
    ]  # fmt: skip
    assert metadata.chain[0].digest == "c" * 64
    links = {link.role: link.digest for link in metadata.chain}
    assert read_manifest(original).parents == {role: digest for role, digest in links.items() if role != "documents"}
    assert metadata.effective_settings == {"finetune.attention": "sequences"}
    dropped, split = metadata.data.changes
    assert (dropped.reason, dropped.examples, dropped.left_out, dropped.tokens) == ("longer than max_tokens", 2, 2, -70)
    assert (split.reason, split.examples, split.left_out) == ("in several pieces", 1, 0)
    assert metadata.training["validation_loss"] == 1.25
    assert metadata.versions.keys() >= {"python", "torch", "peft", "transformers"}
    assert metadata.hardware == {"cores_usable": 2}
    assert metadata.merge is not None
    assert metadata.merge.mean_kl < 1e-9


def test_the_readme_is_made_from_the_metadata_and_tells_what_matters(original):
    text = (original / "README.md").read_text()
    metadata = load_artifact_metadata(original)
    assert text == generate_adapter_readme(metadata)
    for said in (
        "# toy", "No licence is set", "PeftModel.from_pretrained", "loquela chat", "| train | 4 | 4 | 96 | 48 |",
        "| overlong | longer than max_tokens | 2 | 2 | -70 |",
        "| exact_match | 12 | 0.25 | 0.75 | 0.5 (+0.2 … +0.7) | better |",
        "| validation loss | 1.25 |", "| finetune.attention | sequences |",
        "base files", r"8 of 8 answers given back \| with", "## Merged model",
    ):  # fmt: skip
        assert said in text, said
    assert "/home/someone" not in text


def test_checksums_are_those_of_the_files(original):
    recorded = json.loads((original / "checksums.json").read_text())["files"]
    assert recorded == generate_artifact_checksum(original)
    assert recorded["README.md"] == generate_file_checksum(original / "README.md")
    assert recorded.keys() == {path.name for path in original.iterdir()} - {"checksums.json", "manifest.json"}
    assert verify_artifact_integrity(original).whole


def test_whole_it_passes_with_base_and_parents_compared(package):
    report = verify_artifact(package)
    assert report.passed, [proof.message for proof in report.proofs if not proof.passed]
    assert report.kind == "final_artifact"
    said = {proof.name: proof.message for proof in report.proofs}
    assert "files as they were" in said["base"]
    assert "every SHA-256 as written" in said["made from adapter"]
    assert "every SHA-256 as written" in said["made from examples"]


@pytest.mark.parametrize(
    "name",
    ["adapter_model.safetensors", "adapter_config.json", "README.md", "metadata.json", "training_config.yaml"],
)
def test_a_changed_file_is_named(package, name):
    data = bytearray((package / name).read_bytes())
    data[-2] ^= 1
    (package / name).write_bytes(data)
    found = failed(package)
    assert found["files"] == f"not as written; changed: {name}"
    assert f"changed: {name}" in found["checksums"]


def test_missing_and_added_files_are_named_together(package):
    (package / "README.md").unlink()
    (package / "pytorch_model.bin").write_bytes(b"pickle")
    assert failed(package)["files"] == "not as written; missing: README.md; added: pytorch_model.bin"


def test_a_changed_base_is_named(tmp_path):
    base = copied_base(tmp_path / "base")
    package = make_package(tmp_path / "data", merged=False)
    identity = json.loads((package / "base.json").read_text()) | {"location": str(base)}
    (package / "base.json").write_text(json.dumps(identity))
    assert "base" not in failed(package)
    with (base / "model.safetensors").open("r+b") as stream:
        stream.seek(-1, 2)
        stream.write(b"\x7f")
    assert "the SHA-256 of model.safetensors is not the one recorded" in failed(package)["base"]


def test_a_changed_manifest_is_found_by_its_own_digest(package):
    text = (package / "manifest.json").read_text()
    (package / "manifest.json").write_text(text.replace('"base_unchanged": true', '"base_unchanged": false'))
    assert "is not as it was written" in failed(package)["manifest"]
    (package / "manifest.json").write_text("{")
    assert "cannot be read as a manifest" in failed(package)["manifest"]
    (package / "manifest.json").unlink()
    assert is_artifact(package)
    assert "it has no manifest.json" in failed(package)["manifest"]


def test_a_file_changed_with_its_manifest_is_still_found_by_the_checksums_and_the_chain(package):
    """Whoever seals the adapter anew must also have changed checksums.json, metadata.json, and the package's parent."""
    adapter = package.parent / "adapter"
    for folder in (adapter, package):
        data = bytearray((folder / "adapter_model.safetensors").read_bytes())
        data[-1] ^= 1
        (folder / "adapter_model.safetensors").write_bytes(data)
    parents, facts = read_manifest(package).parents, read_manifest(package).facts
    (adapter / "manifest.json").unlink()
    write_manifest(adapter, "adapter")
    (package / "manifest.json").unlink()
    write_manifest(package, "final_artifact", parents=parents, facts=facts)
    found = failed(package)
    assert found["checksums"].endswith("changed: adapter_model.safetensors")
    assert "and this was made from" in found["made from adapter"]


def test_what_is_not_here_is_said_not_to_be_compared(package, tmp_path):
    alone = tmp_path / "handed on"
    shutil.copytree(package, alone)
    report = verify_artifact(alone)
    assert report.passed
    # Every parent, and the files of the base.
    compared = ["not here: not compared" not in proof.message for proof in report.proofs]
    assert compared.count(False) == len(read_manifest(alone).parents) + 1


def test_not_finite_weights_are_found_in_every_number_format(tmp_path):
    import torch
    from safetensors.torch import save_file

    for number, dtype in enumerate((torch.float32, torch.float16, torch.bfloat16, torch.float64)):
        folder = tmp_path / str(number)
        folder.mkdir()
        tensors = {"good": torch.ones(3, dtype=dtype), "whole": torch.ones(2, dtype=torch.int64)}
        save_file(tensors, folder / "model.safetensors")
        write_manifest(folder, "merged")
        assert verify_artifact(folder).passed
        save_file(tensors | {"bad": torch.tensor([1, float("nan")], dtype=dtype)}, folder / "model.safetensors")
        assert failed(folder)["model.safetensors finite"] == "not finite: bad"
    (folder / "model.safetensors").write_bytes(b"\xff" * 20)
    assert "cannot be read as safetensors" in failed(folder)["model.safetensors finite"]


def test_a_base_that_changed_while_training_stops_the_packaging(tmp_path):
    sources = make_sources(tmp_path / "data", merged=False)
    base = copied_base(tmp_path / "base")
    folder = sources.folders["base"]
    identity = json.loads((folder / "base.json").read_text()) | {"location": str(base)}
    (folder / "base.json").write_text(json.dumps(identity))
    (base / "tokenizer_config.json").write_text("{}")
    with pytest.raises(ProofError, match=r"is not what it was before the training: tokenizer_config\.json"):
        create_artifact_metadata(sources)


def test_a_tampered_adapter_is_not_packaged(tmp_path):
    sources = make_sources(tmp_path / "data", merged=False)
    metadata = create_artifact_metadata(sources)
    (sources.adapter / "adapter_config.json").write_text("{}")
    with pytest.raises(DataError, match=r"adapter_config\.json"):
        save_adapter_artifact(sources, metadata, sources.run / "final_artifact")
    assert not (sources.run / "final_artifact").exists()


def test_a_full_disk_leaves_the_old_package(package, monkeypatch, tmp_path):
    sources = make_sources(tmp_path / "other", merged=False)
    metadata = create_artifact_metadata(sources)
    before = read_manifest(package).digest

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("loquela.finetuning.packaging.package.shutil.copyfile", full)
    with pytest.raises(ResourceError, match="no space left") as caught:
        save_adapter_artifact(sources, metadata, package)
    assert caught.value.code is ErrorCode.DISK_FULL
    assert read_manifest(package).digest == before
    assert verify_artifact(package).passed
    assert not list(package.parent.glob(".tmp-*"))


def test_the_records_beside_it(tmp_path):
    sources = make_sources(tmp_path / "data", merged=False)
    metadata = create_artifact_metadata(sources)
    write_run_records(sources.run, metadata, "d" * 64)
    assert (sources.run / "metrics_history.jsonl").read_text() == (sources.run / "metrics.jsonl").read_text()
    summary = json.loads((sources.run / "training_summary.json").read_text())
    assert (summary["steps"], summary["base_digest"]) == (12, metadata.base.digest)
    results = json.loads((sources.run / "training_results.json").read_text())
    assert results["final_artifact"] == "d" * 64
    assert results["base_unchanged"] is True
    assert results["evaluation"][0]["verdict"] == "better"


@pytest.mark.parametrize(
    ("name", "said"),
    [("preflight.json", "cannot be read as the proofs"), ("manifest.json", "cannot be read as JSON")],
)
def test_a_damaged_record_is_named(tmp_path, name, said):
    sources = make_sources(tmp_path / "data", merged=False)
    (sources.run / name).write_text("[")
    with pytest.raises(DataError, match=said):
        create_artifact_metadata(sources)


def test_a_damaged_comparison_or_merge_report_is_named(tmp_path):
    sources = make_sources(tmp_path / "data")
    (sources.run / "eval" / "metrics.json").write_text('{"metrics": [{"name": 1}]}')
    with pytest.raises(DataError, match="cannot be read as a comparison"):
        create_artifact_metadata(sources)
    (sources.run / "eval" / "metrics.json").write_text("{}")
    (sources.run / "merged" / "merge_report.json").write_text("{}")
    with pytest.raises(DataError, match="cannot be read as the report of a merge"):
        create_artifact_metadata(sources)


def test_metadata_that_cannot_be_read_is_told(tmp_path):
    (tmp_path / "metadata.json").write_text("{}")
    with pytest.raises(DataError, match=r"metadata\.json cannot be read as the metadata"):
        load_artifact_metadata(tmp_path)
    with pytest.raises(DataError, match=r"checksums\.json cannot be read as the checksums"):
        verify_artifact_integrity(tmp_path)


def test_a_base_record_that_is_none_fails_the_proof(package):
    write_base(package, load_base(package).model_copy(update={"digest": "0" * 64}))
    assert "not as it was written" in failed(package)["base"]


def load_base(directory):
    from loquela.artifacts.base import read_base

    return read_base(directory)


def test_what_ships_carries_no_path_of_the_machine(tmp_path):
    output = tmp_path / "a place with spaces" / "data"
    moved = tmp_path / "my models" / "toy base"
    shutil.copytree(toy_base(), moved)
    sources = make_sources(output, base_folder=moved)
    run = sources.run
    document = tmp_path / "texts" / "one.pdf"
    (run / "recipe.yaml").write_text(
        f'name: toy  # file: {tmp_path}/my recipes/toy.yaml:2\noutput_directory: "{output}"\n'
        f'data: {{sources: ["{document}"]}}\n'
    )
    said = f"free space below {run}, {document}, row 3: 1/2 of https://example.org/a/b is as good as and/or"
    (run / "preflight.json").write_text(json.dumps([{"name": "labels", "passed": True, "message": said}]))
    place = run / "final_artifact"
    save_adapter_artifact(sources, create_artifact_metadata(sources), place)
    text = {path.name: path.read_bytes() for path in place.rglob("*") if path.is_file()}
    assert [name for name, content in text.items() if str(tmp_path).encode() in content] == []
    assert [name for name, content in text.items() if b"my models" in content or b"my recipes" in content] == []
    assert json.loads(text["preflight.json"])[0]["message"] == (
        "free space below data/runs/toy-1, one.pdf, row 3: 1/2 of https://example.org/a/b is as good as and/or"
    )
    assert b'output_directory: "data"' in text["training_config.yaml"]
    assert json.loads(text["adapter_config.json"])["base_model_name_or_path"] == "toy base"
    assert verify_artifact(place).passed
    # The base is still found, by its digest: among the artifacts of the output directory, or beside the package.
    assert load_adapted(place).base.folder == moved
    elsewhere = tmp_path / "elsewhere" / "bot"
    shutil.copytree(place, elsewhere)
    with pytest.raises(DataError, match=r"is not at .*elsewhere/base"):
        load_adapted(elsewhere)
    shutil.copytree(moved, tmp_path / "elsewhere" / "base")
    assert load_adapted(elsewhere).base.folder == tmp_path / "elsewhere" / "base"
    assert verify_artifact(elsewhere).passed
