"""Optional packages that are there, and those that are not."""

from __future__ import annotations

import json

import pytest

from loquela.core.errors import ErrorCode, ResourceError
from loquela.core.extras import require


def test_an_installed_module_is_given_back() -> None:
    assert require("json", extra="data", purpose="reading") is json


def test_a_missing_package_names_the_line_that_installs_it() -> None:
    with pytest.raises(ResourceError, match="reading s3:// needs the package no_such_package, which is not") as caught:
        require("no_such_package.part", extra="data", purpose="reading s3://")
    assert caught.value.code is ErrorCode.MISSING_EXTRA
    assert caught.value.remedy == 'pip install "loquela[data]"'


def test_a_package_that_breaks_inside_is_not_called_missing(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "breaks_inside.py").write_text("import absent_dependency\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="absent_dependency"):
        require("breaks_inside", extra="data", purpose="reading")
