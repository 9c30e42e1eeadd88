"""Exported models write and measure what the model they were made from does, and no torch is loaded for them."""

import json
import os
import shutil
import subprocess
import sys

import pytest
import torch
from exported import export

from loquela.artifacts.manifest import write_manifest
from loquela.core.errors import DataError
from loquela.inference.contracts import GenerateRequest, ScoreRequest
from loquela.inference.open import open_engine
from loquela.models.folder import load_model, save_model
from toy_run import make_run

MODELS = ["transformer", "rotary", "lstm", "gru"]
ROTARY = {"positions": "rotary", "norm": "rmsnorm", "activation": "swiglu", "num_kv_heads": 2, "bias": False}
FORMATS = {"onnx": MODELS, "torchscript": MODELS, "safetensors": MODELS, "gguf": ["transformer", "rotary"]}
BUNDLES = [(model, form) for form, models in FORMATS.items() for model in models]
LIBRARY = {"onnx": "onnxruntime", "gguf": "xllamacpp", "torchscript": "torch", "safetensors": "torch"}
MEBIBYTE = 2**20
# In one process: what it wrote and measured, what it loaded, what that took.
SCRIPT = """
import json, sys
from pathlib import Path
from loquela.inference.contracts import GenerateRequest, ScoreRequest
from loquela.inference.open import open_engine
engine = open_engine(Path(sys.argv[1]))
written = engine.generate(GenerateRequest(prompt_text="The old", max_new_tokens=20, temperature=0))
score = engine.score(ScoreRequest(text="The old man"))
engine.close()
import psutil
from loquela.compute.memory import peak_memory_bytes
loaded = {name.partition(".")[0] for name in sys.modules}
sys.stdout.write(json.dumps({
    "text": written.outputs[0], "loss": score.loss, "heavy": sorted(loaded & {"torch", "transformers", "jinja2"}),
    "rss": psutil.Process().memory_info().rss, "peak": peak_memory_bytes(),
}))
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    made = {}
    for name in MODELS:
        family, changes = ("transformer", ROTARY) if name == "rotary" else (name, {})
        made[name] = opinionated(make_run(folder / name, family, **changes))
    return made


def opinionated(run):
    """The run with a model whose likeliest token stands out, as a trained one's does."""
    model = load_model(run / "final")
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.2)
    save_model(model, run / "final", bos_id=2, eos_id=3, pad_id=0)
    (run / "final" / "manifest.json").unlink()
    write_manifest(run / "final", "checkpoint")
    return run


@pytest.fixture(scope="module")
def bundles(runs, tmp_path_factory):
    made = {}

    def bundle(model, form):
        pytest.importorskip(LIBRARY[form], reason=f"{LIBRARY[form]} is not installed")
        if (model, form) not in made:
            made[model, form] = export(runs[model], form, tmp_path_factory.mktemp("bundle") / "bundle")
        return made[model, form]

    return bundle


@pytest.mark.parametrize(("model", "form"), BUNDLES)
def test_an_export_writes_and_measures_what_its_model_does(runs, bundles, model, form):
    theirs, ours = open_engine(runs[model]), open_engine(bundles(model, form))
    greedy = GenerateRequest(prompt_text="Había", max_new_tokens=90, temperature=0)
    assert ours.generate(greedy) == theirs.generate(greedy)
    if form != "gguf":  # llama.cpp reads GELU from a table of half precision: draws near a border may differ
        for drawn in (
            GenerateRequest(prompt_text="The old", max_new_tokens=30, temperature=1, top_p=0.9, seed=4),
            GenerateRequest(max_new_tokens=30, top_k=20, num_return_sequences=2, stop_sequences=["e"]),
        ):
            assert ours.generate(drawn) == theirs.generate(drawn)
    text = "The old man walked to the house. " * 12
    mine, wanted = (engine.score(ScoreRequest(text=text, top_k=2)) for engine in (ours, theirs))
    assert mine.surprisal == pytest.approx(wanted.surprisal, abs=0.05 if form == "gguf" else 1e-4)
    assert (mine.tokens, mine.notes) == (wanted.tokens, wanted.notes)
    ours.close()


@pytest.mark.parametrize("form", ["onnx", "gguf"])
def test_a_process_that_runs_an_export_is_light(runs, bundles, form):
    command = [sys.executable, "-c", SCRIPT, str(bundles("transformer", form))]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    theirs = open_engine(runs["transformer"])
    request = GenerateRequest(prompt_text="The old", max_new_tokens=20, temperature=0)
    assert answer["text"] == theirs.generate(request).outputs[0]
    assert answer["loss"] == pytest.approx(theirs.score(ScoreRequest(text="The old man")).loss, abs=0.05)
    assert answer["heavy"] == []
    assert answer["rss"] <= 400 * MEBIBYTE
    assert answer["peak"] <= 512 * MEBIBYTE


def test_the_commands_load_no_torch_for_a_bundle_either(bundles):
    script = (
        "import sys\nfrom loquela.cli.main import answer\n"
        "code = answer(sys.argv[1:])\nassert 'torch' not in sys.modules\nsys.exit(code)\n"
    )
    place = str(bundles("transformer", "onnx"))
    for said, arguments in (
        (b"", ["generate", place, "--prompt", "The", "--max-new-tokens", "3"]),
        (b"", ["score", place, "--text", "The"]),
        (b"Hola\n", ["chat", place, "--max-new-tokens", "3"]),
    ):
        done = subprocess.run(
            [sys.executable, "-c", script, *arguments], input=said, capture_output=True, check=False, timeout=120,
            env={**os.environ, "PYTHONUTF8": "1"},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert done.stdout


def test_a_bundle_that_was_changed_is_not_run(bundles, tmp_path):
    copy = shutil.copytree(bundles("transformer", "onnx"), tmp_path / "copy")
    facts = copy / "bundle.json"
    facts.write_text(facts.read_text().replace('"context": 64', '"context": 65'))
    with pytest.raises(DataError, match=r"bundle\.json"):
        open_engine(copy)
