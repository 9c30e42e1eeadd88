"""What a fine-tuning cannot do here is said before anything is downloaded or written."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import JsonValue

from loquela.core.errors import ErrorCode
from loquela.finetuning import preflight
from loquela.finetuning.preflight import check_finetuning, needed_packages
from loquela.recipe.schema import Recipe


def recipe(compute: dict[str, JsonValue] | None = None, **finetune: JsonValue) -> Recipe:
    return Recipe.model_validate(
        {
            "examples": {"sources": ["rows.jsonl"]},
            "finetune": {"base": "a-base", **finetune},
            "compute": {"device": "cpu", **(compute or {})},
        }
    )


def test_all_is_there() -> None:
    proofs = check_finetuning(recipe())
    assert [proof.passed for proof in proofs] == [True, True]
    assert "lora with adamw on cpu in fp32" in proofs[1].message
    assert check_finetuning(Recipe()) == []


@pytest.mark.parametrize(
    ("compute", "finetune", "said"),
    [
        ({"compile": "on"}, {}, "compile: on has no effect"),
        ({"loader_workers": 2}, {}, "loader_workers: 2 has no effect"),
        ({"precision": "fp16"}, {}, "fp16 needs a loss scaler and CUDA"),
        ({}, {"optimizer": "paged_adamw_32bit"}, "nothing would be paged"),
    ],
)
def test_settings_without_effect(compute: dict[str, JsonValue], finetune: dict[str, JsonValue], said: str) -> None:
    settings = check_finetuning(recipe(compute, **finetune))[1]
    assert not settings.passed and said in settings.message and settings.remedy
    assert settings.code is ErrorCode.CONFIG_INVALID


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    section = recipe(method="qlora").finetune
    assert section is not None and needed_packages(section)[-1] == "bitsandbytes"
    monkeypatch.setattr(preflight, "find_spec", lambda name: None if name == "trl" else Path)
    packages = check_finetuning(recipe())[0]
    assert not packages.passed and packages.code is ErrorCode.MISSING_EXTRA
    assert "trl" in packages.message and "loquela[finetune]" in packages.remedy
