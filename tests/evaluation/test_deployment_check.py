"""A check of real bundles in real processes: what passes, what fails, and what is never run at all."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
import zipfile
from pathlib import Path

import psutil
import pytest

from loquela.artifacts.bundle import BUNDLE_KIND, GoldenPrompt
from loquela.artifacts.manifest import read_manifest, write_manifest
from loquela.core.errors import DataError, ErrorCode, Interrupted, LoquelaError, ProofError, RecipeError, ResourceError
from loquela.evaluation.deployment.contracts import DeploymentValidatorRequest, PerformanceRequirements
from loquela.evaluation.deployment.page import deploy_page
from loquela.evaluation.deployment.promotion import check_folder, promote, read_promotions
from loquela.evaluation.deployment.report import read_report
from loquela.evaluation.deployment.validator import Checked, DeploymentValidator
from loquela.evaluation.deployment.writing import write_check
from loquela.monitoring.events import EventBus, SilentBus
from loquela.recipe.budget_section import BudgetSection
from loquela.recipe.deploy_section import DeploySection
from toy_bundle import make_bundle, sealed
from waiting import until

# Of a machine that may be busy: these tests are about what is found, not about how fast this machine is.
EASY = BudgetSection(latency_p95_ms=1e6, tokens_per_second=1e-3, rss_mb=1e5, peak_mb=1e5)
# What pickle.dumps(None) gives.
PICKLE = b"\x80\x04N."
QUICK = {"requests": 5, "repeats": 1, "new_tokens": 4, "rate_per_second": 200.0, "max_seconds": 30.0}


def section(load: dict | None = None, **keys) -> DeploySection:
    return DeploySection.model_validate({"load": QUICK | (load or {}), **keys})


def check(bundle: Path, wanted: DeploySection | None = None, bus=None, **options) -> Checked:
    return DeploymentValidator(bus or SilentBus(), **options).check(bundle, wanted or section(), EASY)


pytest.importorskip("onnxruntime", reason="the extra serve is not installed")
pytest.importorskip("onnx", reason="the extra export is not installed")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bundle(tmp_path_factory.mktemp("bundles") / "whole", onnx=True)


@pytest.fixture
def bundle(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "exports" / "bundle"))


@pytest.fixture(scope="module")
def checked(whole: Path) -> tuple[Checked, list]:
    heard: list = []
    bus = EventBus()
    bus.subscribe(heard.append)
    wanted = section({"repeats": 2, "prompts": ["Once upon a time", "", "<b>La mujer</b>"]}, max_latency_ms=60_000)
    return check(whole, wanted, bus), heard


# ── what passes ───────────────────────────────────────────────────────────────────────────────────────


def test_a_whole_bundle_passes(checked: tuple[Checked, list]) -> None:
    report = checked[0].report
    assert report.passed
    assert report.failures == []
    assert (report.golden.prompts, report.golden.tokens, report.golden.mismatches) == (3, 24, [])
    assert [len(run.requests) for run in checked[0].runs] == [5, 5]
    assert {request.tokens for run in checked[0].runs for request in run.requests} == {4}
    assert report.rate_per_second == 200.0
    first, second = checked[0].runs
    assert [r.arrived for r in first.requests] != [r.arrived for r in second.requests]
    for name in ("latency_mean_ms", "ttft_p50_ms", "token_gap_p50_ms", "cold_start_seconds", "rss_mb"):
        assert report.figure(name).low > 0, name
    assert report.figure("peak_mb").low >= report.figure("rss_mb").low * 0.99
    assert report.figure("latency_p95_ms").median >= report.figure("ttft_p95_ms").median


def test_trace_points_and_result(checked: tuple[Checked, list]) -> None:
    names = [event.name for event in checked[1]]
    assert names == [
        "deployment_validator.validation_start.v1",
        "deployment_validator.performance_test.v1",
        "deployment_validator.performance_test.v1",
        "deployment_validator.validation_complete.v1",
    ]
    report, told = checked[0].report, checked[1][-1].data
    assert told["passed"] is told["deployment_ready"] is True
    assert told["test_results"] == {
        "avg_latency_ms": report.figure("latency_mean_ms").median,
        "throughput_qps": report.figure("requests_per_second").median,
        "memory_usage_mb": report.figure("rss_mb").median,
    }


def test_files_of_a_check(checked: tuple[Checked, list], tmp_path: Path) -> None:
    place = tmp_path / "some" / "check"
    write_check(place, checked[0].report, checked[0].runs)
    assert sorted(path.name for path in place.iterdir()) == [
        "deploy_report.html", "deploy_report.json", "requests.jsonl"
    ]  # fmt: skip
    assert read_report(place / "deploy_report.json") == checked[0].report
    rows = [json.loads(line) for line in (place / "requests.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [row["repeat"] for row in rows] == [1] * 5 + [2] * 5
    page = (place / "deploy_report.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert not re.search(r"(?:src|href)=|url\(|@import|https?://", page)
    assert "prefers-color-scheme: dark" in page
    assert page.count("<circle") == 10
    for drawing in re.findall(r"<svg.*?</svg>", page, re.DOTALL):
        ElementTree.fromstring(drawing)  # noqa: S314 - our own


def test_the_page_escapes_what_it_shows(checked: tuple[Checked, list]) -> None:
    report = checked[0].report.model_copy(update={"bundle": "/x/<img>", "notes": ["<b>"], "failures": ["<i>"]})
    report.passed = False
    page = deploy_page(report, checked[0].runs)
    assert "<img>" not in page
    assert "<b>" not in page.partition("How it was measured")[2]
    assert "&lt;i&gt;" in page
    assert "Did not pass" in page


def test_a_changed_report_is_no_report(checked: tuple[Checked, list], tmp_path: Path) -> None:
    write_check(tmp_path / "c", checked[0].report, checked[0].runs)
    path = tmp_path / "c" / "deploy_report.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"requests": 5', '"requests": 6'), encoding="utf-8")
    with pytest.raises(
        DataError, match="is not the report that a check wrote: its own digest says that it was changed"
    ):
        read_report(path)
    path.write_text("{}", encoding="utf-8")
    with pytest.raises(DataError, match="it cannot be read as one"):
        read_report(path)


@pytest.mark.parametrize(("target", "quantize"), [("onnx", "none"), ("onnx", "int8"), ("gguf", "int8")])
def test_light_runtimes_pass_and_load_no_torch(tmp_path: Path, whole: Path, target: str, quantize: str) -> None:
    from loquela.export.exporting import Export
    from loquela.export.source import find_model
    from loquela.recipe.export_section import ExportSection, ExportTarget

    pytest.importorskip({"onnx": "onnxruntime", "gguf": "xllamacpp"}[target])
    source = find_model(whole.parent / "whole-run" / "final")
    wanted = ExportTarget(format=target, quantize=quantize)
    exported = Export(source, wanted, tmp_path / wanted.name, ExportSection(), None, SilentBus()).run()
    report = check(exported.directory, section({"prompts": ["Once upon a time"]})).report
    assert report.passed, report.failures
    # The torch runtime alone takes more than that.
    assert report.figure("peak_mb").high < 180


def test_the_component_by_its_request(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loquela.evaluation.deployment.validator.BudgetSection", lambda: EASY)
    wanted = PerformanceRequirements(max_latency_ms=60_000, min_throughput_qps=1)
    request = DeploymentValidatorRequest(export_path=str(bundle), test_inputs=["The"], performance_requirements=wanted)
    with monkeypatch.context() as patch:
        patch.setattr("loquela.evaluation.deployment.validator.DeployLoad", lambda **keys: section().load)
        result = DeploymentValidator(SilentBus()).run(request)
    assert result.passed
    assert result.deployment_ready
    assert result.test_results.avg_latency_ms > 0
    assert read_report(check_folder(bundle) / "deploy_report.json").validation_id == result.validation_id


# ── what fails ────────────────────────────────────────────────────────────────────────────────────────


def test_a_missed_requirement_is_a_failure_with_a_report(whole: Path, tmp_path: Path) -> None:
    heard: list = []
    bus = EventBus()
    bus.subscribe(heard.append)
    found = check(whole, section(max_latency_ms=1, max_cold_start_seconds=0.001), bus)
    assert not found.report.passed
    with pytest.raises(
        ProofError, match=r"cold_start_seconds is [\d.]+, deploy.max_cold_start_seconds asks for at mo"
    ) as caught:
        found.raise_if_failed(tmp_path)
    assert caught.value.code is ErrorCode.PERFORMANCE_BELOW_THRESHOLD
    failed = next(event for event in heard if event.name == "deployment_validator.validation_failed.v1")
    assert failed.data == {"error_code": "PERFORMANCE_BELOW_THRESHOLD", "failures": found.report.failures}


def test_other_tokens_than_at_the_export_are_a_failure(bundle: Path, tmp_path: Path) -> None:
    golden = [GoldenPrompt(prompt_ids=[5, 6, 7], continuation_ids=[1, 2]).model_dump()]
    found = check(sealed(bundle, golden=golden))
    assert found.report.failures[0].startswith("golden prompt 0: token 0 of what it writes is ")
    with pytest.raises(ProofError, match="does not write|did not pass its check: golden prompt 0") as caught:
        found.raise_if_failed(tmp_path)
    assert caught.value.code is ErrorCode.INFERENCE_FAILED
    assert "export the model again: this bundle does not write what it wrote" in caught.value.remedy


def test_requests_that_are_not_answered_in_time(whole: Path) -> None:
    # A thousand requests arrive within a tenth of a second; then the load is over.
    load = {"requests": 1000, "rate_per_second": 10_000.0, "max_seconds": 0.1, "new_tokens": 32}
    found = check(whole, section(load))
    assert found.report.figure("error_rate").median > 0
    assert any("error_rate is" in failure for failure in found.report.failures)
    assert any(
        note.startswith("requests without an answer: not begun within 0.1 seconds") for note in found.report.notes
    )
    assert "missed" in deploy_page(found.report, found.runs)


# ── what is never run ─────────────────────────────────────────────────────────────────────────────────


def refused(
    bundle: Path, code: ErrorCode, message: str, wanted: DeploySection | None = None, **options
) -> LoquelaError:
    with pytest.raises(LoquelaError, match=message) as caught:
        check(bundle, wanted, **options)
    assert caught.value.code is code
    assert not check_folder(bundle).exists()
    return caught.value


def test_no_bundle(tmp_path: Path) -> None:
    refused(tmp_path / "nowhere", ErrorCode.DATASET_NOT_FOUND, "no bundle in .*nowhere")


def test_damaged_bundles(bundle: Path) -> None:
    weights = bundle / "model" / "model.onnx"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1])
    refused(bundle, ErrorCode.CORRUPTION, r"model.onnx has \d+ bytes, the manifest says")
    weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    refused(bundle, ErrorCode.CORRUPTION, "the SHA-256 of model/model.onnx is not the one in the manifest")
    weights.write_bytes(whole)
    (bundle / "bundle.json").unlink()
    refused(bundle, ErrorCode.CORRUPTION, "bundle.json is missing")


@pytest.mark.parametrize(
    ("name", "content", "danger"),
    [
        ("model/modeling.py", b"import os", "code"),
        ("model/pytorch_model.bin", PICKLE, "a pickle"),
        ("model/weights.pkl", b"x", "a pickle"),
        ("model/zipped.bin", None, "a pickle"),
    ],
)
def test_code_and_pickles_are_not_loaded(bundle: Path, name: str, content: bytes | None, danger: str) -> None:
    path = bundle / name
    if content is None:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("zipped/data.pkl", PICKLE)
    else:
        path.write_bytes(content)
    (bundle / "manifest.json").unlink()
    write_manifest(bundle, BUNDLE_KIND)
    refused(bundle, ErrorCode.COMPATIBILITY_ERROR, f"is not run: {name} is {danger}, which can do anything")


def test_what_was_put_there_later(bundle: Path) -> None:
    (bundle / "notes.txt").write_text("x", encoding="utf-8")
    refused(bundle, ErrorCode.COMPATIBILITY_ERROR, "notes.txt was put there after the export")
    (bundle / "notes.txt").unlink()
    (bundle / "link").symlink_to("/etc/hostname")
    refused(bundle, ErrorCode.COMPATIBILITY_ERROR, "link is a link: what it leads to may change")


def test_golden_prompts_must_be_there_and_possible(bundle: Path) -> None:
    sealed(bundle, golden=[])
    refused(bundle, ErrorCode.COMPATIBILITY_ERROR, "it has no golden prompts, so that nothing proves what it writes")
    sealed(bundle, golden=[{"prompt_ids": [5], "continuation_ids": [300]}])
    refused(bundle, ErrorCode.COMPATIBILITY_ERROR, "golden prompt 0 holds the token 300, the vocabulary has 300")
    sealed(bundle, golden=[{"prompt_ids": [5] * 60, "continuation_ids": [5] * 5}])
    refused(bundle, ErrorCode.COMPATIBILITY_ERROR, "have 65 tokens, the context only 64")


def test_absurd_dimensions(bundle: Path) -> None:
    golden = [{"prompt_ids": [5], "continuation_ids": [6]}]
    sealed(bundle, golden=golden, vocab_size=10**12)
    refused(
        bundle, ErrorCode.COMPATIBILITY_ERROR, "the bundle .* cannot be run: bundle.json speaks of 1000000000000 tok"
    )
    sealed(bundle, vocab_size=299)
    refused(bundle, ErrorCode.COMPATIBILITY_ERROR, "speaks of 299 tokens, its tokenizer has 300 and its model 300")
    (bundle / "model" / "model.onnx").write_bytes(b"no graph")
    sealed(bundle, vocab_size=300)
    with pytest.raises(DataError, match="model.onnx"):
        check(bundle)


def test_torch_bundles_pass_and_absurd_ones_end_in_their_own_process(whole: Path, tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "torch", whole.parent / "whole-run")
    assert check(bundle).report.passed
    config = bundle / "model" / "config.json"
    facts = json.loads(config.read_text(encoding="utf-8"))
    config.write_text(json.dumps(facts | {"vocab_size": 10**12}), encoding="utf-8")
    sealed(bundle)
    said = r"its runtime torch cannot open it: RuntimeError: .*can't allocate memory: you tried to allocate 1280000000"
    assert "Traceback" not in str(refused(bundle, ErrorCode.COMPATIBILITY_ERROR, said))


def test_a_bundle_larger_than_its_process_may_be(bundle: Path) -> None:
    with (bundle / "model" / "padding.safetensors").open("wb") as stream:
        stream.truncate(65 << 20)
    sealed(bundle)
    wanted = section(limits={"memory_mb": 64})
    refused(bundle, ErrorCode.COMPATIBILITY_ERROR, "its files have 65 MB, deploy.limits.memory_mb allows", wanted)


def test_a_runtime_that_is_not_installed(bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['onnxruntime'] = None\n", encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    sealed(bundle, runtime="onnxruntime", format="onnx")
    error = refused(bundle, ErrorCode.MISSING_EXTRA, "needs the package onnxruntime, which is not installed")
    assert isinstance(error, ResourceError)
    assert error.remedy.startswith('pip install "loquela[')


def test_prompts_longer_than_the_context(whole: Path) -> None:
    long = "La mujer dijo que la puerta estaba abierta. " * 20
    with pytest.raises(
        RecipeError, match=r"prompts\[1\] has \d+ tokens: with 4 new ones that is more than the context of 64"
    ):
        check(whole, section({"prompts": ["short", long]}))
    found = check(whole, section({"prompts": ["short", long], "overlong_prompts": "cut"}))
    assert found.report.passed
    assert (
        "1 of the prompts were longer than the context allows and lost their beginnings under load"
        in found.report.notes
    )
    # The bundle's own prompts were proven whole; under load they make room.
    crowded = check(whole, section({"new_tokens": 62}))
    assert crowded.report.passed
    assert "1 of the prompts were longer than" in " ".join(crowded.report.notes)
    with pytest.raises(RecipeError, match="new_tokens is 64, the context of the model only 64 tokens"):
        check(whole, section({"new_tokens": 64}))


# ── limits ────────────────────────────────────────────────────────────────────────────────────────────


def test_time_memory_and_processor_are_limited(whole: Path) -> None:
    slow = section({"max_seconds": 0.1, "requests": 1}, limits={"wall_seconds": 0.2})
    refused(whole, ErrorCode.INFERENCE_FAILED, r"was still busy after 0\.2 seconds and was ended", slow)
    busy = section({"max_seconds": 60, "requests": 10_000, "new_tokens": 48}, limits={"cpu_seconds": 1})
    refused(whole, ErrorCode.INFERENCE_FAILED, "it used more than 1 seconds of processor time", busy)
    with pytest.raises(LoquelaError, match="more than the 80 MB of address space|gave no measurement") as caught:
        check(whole, section(limits={"memory_mb": 80}))
    assert "Traceback" not in str(caught.value)
    assert caught.value.code in (ErrorCode.OOM, ErrorCode.INFERENCE_FAILED)


def test_an_interrupted_check_leaves_nothing(bundle: Path) -> None:
    asked = iter(range(1000))
    before = set(psutil.Process().children(recursive=True))
    with pytest.raises(Interrupted, match=r"stopped while .*bundle was measured \(SIGTERM\); no report was written"):
        check(bundle, stop_reason=lambda: "SIGTERM" if next(asked) > 3 else None)
    assert set(psutil.Process().children(recursive=True)) <= before
    assert os.listdir(bundle.parent) == ["bundle"]


# ── promotion ─────────────────────────────────────────────────────────────────────────────────────────


def write_checked(bundle: Path, wanted: DeploySection | None = None) -> Checked:
    found = check(bundle, wanted)
    write_check(check_folder(bundle), found.report, found.runs)
    return found


def test_promotion_and_the_comparison_after_it(bundle: Path, whole: Path) -> None:
    with pytest.raises(DataError, match="there is no report of a check"):
        promote(bundle)
    first = write_checked(bundle)
    assert first.report.notes[0].startswith("nothing was promoted in ")
    record = promote(bundle)
    assert (record.bundle, record.bundle_digest) == ("exports/bundle", first.report.bundle_digest)
    assert promote(bundle) == record

    # Another bundle, of the same model: both are measured, in turns, and held against each other.
    other = sealed(Path(shutil.copytree(whole, bundle.parent / "other")), scheme="float32, again")
    second = write_checked(other, section(max_regression=10.0))
    assert second.report.baseline is not None
    assert second.report.baseline.bundle == "exports/bundle"
    assert second.report.baseline.measured == "now"
    assert len(second.report.baseline.comparisons) == 5
    assert second.report.passed
    later = promote(other)
    assert later.follows == record.record_digest
    assert [each.bundle for each in read_promotions(bundle.parent.parent).records] == [
        "exports/bundle",
        "exports/other",
    ]

    # The promoted one itself has nothing to be compared with; where it is gone, only its own load counts.
    assert check(other).report.notes[0].startswith("this is the promoted bundle itself")
    shutil.rmtree(other)
    gone = check(bundle, section({"requests": 4}))
    assert gone.report.baseline is None
    assert gone.report.notes[0].startswith(
        "not compared with the promoted bundle exports/other: the promoted bundle cannot be"
    )
    recorded = check(bundle, section(max_regression=10.0))
    assert recorded.report.baseline is not None
    assert recorded.report.baseline.measured == "when it was promoted"


def test_against_another_folder(bundle: Path, whole: Path, tmp_path: Path) -> None:
    alone = Path(shutil.copytree(whole, tmp_path / "shelf" / "alone"))
    refused(bundle, ErrorCode.DATASET_NOT_FOUND, "shelf, but nothing was promoted there", section(against=alone.parent))
    write_checked(alone)
    assert promote(alone).bundle == "alone"
    sealed(bundle, scheme="float32, again")
    found = check(bundle, section(against=alone.parent, max_regression=10.0)).report
    assert found.baseline is not None
    assert (found.baseline.bundle, found.baseline.measured) == ("alone", "now")


def test_what_did_not_pass_or_was_changed_is_not_promoted(bundle: Path) -> None:
    write_checked(bundle, section(max_latency_ms=1, max_cold_start_seconds=0.001))
    with pytest.raises(ProofError, match="is not promoted: it did not pass its check: ") as caught:
        promote(bundle)
    assert caught.value.code is ErrorCode.VALIDATION_FAILED
    write_checked(bundle)
    (bundle / "tokenizer" / "tokenizer.json").write_text("{}", encoding="utf-8")
    with pytest.raises(DataError, match="tokenizer.json has 2 bytes"):
        promote(bundle)
    sealed(bundle)
    with pytest.raises(ProofError, match="it was changed since, or is another"):
        promote(bundle)
    assert read_promotions(bundle.parent.parent).records == []


def with_report(bundle: Path, like: Checked, **changes: object) -> Path:
    """`bundle` with the report of a check that it passed, nothing measured anew."""
    digest = read_manifest(bundle).digest
    report = like.report.model_copy(update={"bundle": str(bundle), "bundle_digest": digest} | changes)
    report.record_digest = report.own_digest()
    write_check(check_folder(bundle), report, like.runs)
    return bundle


def waiting(process: subprocess.Popen) -> bool:
    """Whether the kernel keeps it waiting for a lock."""
    lines = Path("/proc/locks").read_text(encoding="ascii").splitlines()
    return any(f" {process.pid} " in line and "->" in line for line in lines)


@pytest.mark.skipif(not Path("/proc/locks").exists(), reason="needs Linux, which lists who waits for a lock")
def test_of_two_promotions_at_once_one_is_the_first(bundle: Path, whole: Path, checked: tuple[Checked, list]) -> None:
    other = sealed(Path(shutil.copytree(whole, bundle.parent / "other")), scheme="float32, again")
    both = [with_report(each, checked[0]) for each in (bundle, other)]
    home = bundle.parent.parent
    with (home / "checks" / "promoted.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        processes = [
            subprocess.Popen([sys.executable, "-m", "loquela", "promote", str(each)], stderr=subprocess.PIPE, text=True)
            for each in both
        ]
        until(lambda: all(map(waiting, processes)))
        assert read_promotions(home).records == []
    told = [process.communicate(timeout=60)[1] for process in processes]
    codes = [process.returncode for process in processes]
    assert sorted(codes) == [0, ProofError.exit_code]
    won = both[codes.index(0)]
    assert [each.bundle for each in read_promotions(home).records] == [f"exports/{won.name}"]
    assert f"exports/{won.name} was promoted since its check began" in told[1 - codes.index(0)]


def test_a_check_during_which_another_was_promoted_does_not_count(
    bundle: Path, whole: Path, checked: tuple[Checked, list]
) -> None:
    other = sealed(Path(shutil.copytree(whole, bundle.parent / "other")), scheme="float32, again")
    for each in (bundle, other):
        with_report(each, checked[0])
    first = promote(bundle)
    with pytest.raises(ProofError, match="other is not promoted: exports/bundle was promoted since its check began"):
        promote(other)
    assert check(other, section(max_regression=10.0)).report.promoted_then == first.record_digest
    second = promote(with_report(other, checked[0], promoted_then=first.record_digest))
    # Going back to what was in use needs no new check.
    back = promote(bundle)
    assert [back.follows, second.follows] == [second.record_digest, first.record_digest]


def test_a_changed_record_of_promotions(bundle: Path) -> None:
    write_checked(bundle)
    promote(bundle)
    path = bundle.parent.parent / "checks" / "promoted.json"
    whole = path.read_text(encoding="utf-8")
    path.write_text(whole.replace('"bundle": "exports/bundle"', '"bundle": "exports/bundlf"'), encoding="utf-8")
    with pytest.raises(DataError, match="does not say any more which bundle is in use: record 1 is not as it was"):
        check(bundle)
    path.write_text(whole[:-5], encoding="utf-8")
    with pytest.raises(DataError, match="which bundle is in use: it cannot be read"):
        promote(bundle)
