"""Runs one command line in this process, the way the program does."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest

from loquela.cli.main import answer


@dataclass
class Outcome:
    code: int
    out: str
    err: str

    @property
    def json(self) -> dict:
        return json.loads(self.out)

    @property
    def error(self) -> dict:
        return self.json["error"]


class Loquela:
    def __init__(self, capture: pytest.CaptureFixture[str]) -> None:
        self.capture = capture

    def __call__(self, *arguments: str) -> Outcome:
        self.capture.readouterr()
        code = answer(arguments)
        out, err = self.capture.readouterr()
        return Outcome(code, out, err)
