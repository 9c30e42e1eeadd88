"""What of the section finetune goes together."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from loquela.recipe.finetune_section import FinetuneSection


@pytest.mark.parametrize("method", ["lora", "int8_lora", "full"])
def test_quantisation_is_for_the_method_that_quantises(method: str) -> None:
    section = {"base": "b", "method": method}
    with pytest.raises(ValidationError, match=f"quantization says how method: qlora stores the base, and .*{method}"):
        FinetuneSection.model_validate({**section, "quantization": {"type": "fp4"}})
    # A recipe that was written out whole has every key.
    whole = FinetuneSection.model_validate(section).model_dump(mode="json")
    assert FinetuneSection.model_validate(whole).method == method
    assert FinetuneSection.model_validate({"base": "b", "method": "qlora", "quantization": {"type": "fp4"}})
