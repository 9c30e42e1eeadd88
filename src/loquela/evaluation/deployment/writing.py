"""A check on disk: the report, its page, and every request behind it; whole or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from loquela.artifacts.folders import whole_folder
from loquela.core.atomic import write_json, write_text
from loquela.evaluation.deployment.job import LoadRun
from loquela.evaluation.deployment.page import deploy_page
from loquela.evaluation.deployment.report import PAGE_NAME, REPORT_NAME, REQUESTS_NAME, DeployReport


def write_check(place: Path, report: DeployReport, runs: Sequence[LoadRun]) -> None:
    """Replace what an earlier check left at `place`; ResourceError when the file system refuses."""
    with whole_folder(place.absolute()) as folder:
        write_json(folder / REPORT_NAME, report.model_dump(mode="json"))
        write_text(folder / PAGE_NAME, deploy_page(report, runs))
        lines = (
            request.model_dump_json(exclude_none=True).replace("{", f'{{"repeat":{number},', 1)
            for number, run in enumerate(runs, 1)
            for request in run.requests
        )
        write_text(folder / REQUESTS_NAME, "".join(line + "\n" for line in lines))
