"""Projects: what was made with a key of one is seen with keys of it, and with keys of none, which see all.

A run and every job on it are of one project; what lies behind them (events, numbers, artifacts, alerts) is found by the
run's or the job's id. Whatever reads rows for a caller is asked `within` the caller's project first, so that nothing of
another one is there to be found.
"""

from __future__ import annotations

import re
from copy import copy
from typing import Self

from sqlalchemy import ColumnElement, ScalarSelect, exists, select, true

from loquela.core.errors import ErrorCode, RecipeError
from loquela.jobs.tables import jobs

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,47}")


class InProject:
    """Base of what reads and writes rows for a caller: those of one project, or all where there is none."""

    _project: str | None = None

    def within(self, project: str | None) -> Self:
        """The same for a caller of `project`."""
        made = copy(self)
        made._project = project
        return made


def check_name(project: str) -> None:
    """RecipeError(CONFIG_INVALID) for what cannot be a project's name."""
    if NAME.fullmatch(project) is None:
        raise RecipeError(
            ErrorCode.CONFIG_INVALID,
            f"{project[:80]!r} cannot be the name of a project",
            "give 1 to 48 small letters, digits, '.', '_' and '-', a letter or digit first",
        )


def owner_of(project: str | None) -> str:
    """In whose name a key acts: its limits and idempotency keys are its project's."""
    return "owner" if project is None else f"project:{project}"


def seen(project: str | None, column: ColumnElement[str]) -> ColumnElement[bool]:
    """Rows whose `column` names their project, of those that a caller of `project` may see."""
    return true() if project is None else column == project


def seen_by_subject(project: str | None, subject: ColumnElement[str]) -> ColumnElement[bool]:
    """The same for rows whose `subject` is the id of a run or of a job."""
    if project is None:
        return true()
    return exists(select(jobs.c.seq).where((jobs.c.id == subject) & (jobs.c.project == project)))


def project_of(job_id: ColumnElement[str] | str) -> ScalarSelect[str]:
    """The project of a run or job, for a row about it; NULL where it has no row of its own."""
    return select(jobs.c.project).where(jobs.c.id == job_id).scalar_subquery()
