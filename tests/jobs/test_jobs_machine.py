"""Any order of requests, claims, deaths and clock jumps: no job is held twice, every end has a reason."""

import tempfile
from itertools import pairwise
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from jobs_databases import fresh_database
from loquela.core.errors import RecipeError
from loquela.jobs.changes import Superseded
from loquela.jobs.claims import Claims, Ended, Holder
from loquela.jobs.clock import FakeClock
from loquela.jobs.event_log import EventLog
from loquela.jobs.listing import Listing
from loquela.jobs.records import NewJob
from loquela.jobs.requests import Requests
from loquela.jobs.states import HELD, TERMINAL, TRANSITIONS, JobState, Reason
from loquela.jobs.submissions import Submissions

ENDS = [
    Ended(JobState.SUCCEEDED, Reason.FINISHED),
    Ended(JobState.FAILED, Reason.DATA_ERROR),
    Ended(JobState.INTERRUPTED, Reason.WORKER_SHUTDOWN),
    Ended(JobState.INTERRUPTED, Reason.INTERNAL),
]


class JobsMachine(RuleBasedStateMachine):
    held = Bundle("held")

    def __init__(self):
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        self._context = fresh_database("sqlite", Path(self._folder.name))
        self.database = self._context.__enter__()
        self.clock = FakeClock()
        self.claims = Claims(self.database, self.clock)
        self.requests = Requests(self.database, self.clock)
        self.submissions = Submissions(self.database, self.clock)
        self.count = 0

    def teardown(self):
        self._context.__exit__(None, None, None)
        self._folder.cleanup()

    @rule()
    def submit(self):
        if self.count < 4:
            self.count += 1
            name = f"job-{self.count}"
            self.submissions.submit(NewJob(id=name, kind="run", run_id=name, spec={}))

    @rule(target=held, worker=st.sampled_from(["a", "b"]))
    def claim(self, worker):
        return self.claims.claim(Holder(worker, "here", "boot"))

    @rule(job=held)
    def start(self, job):
        self._as_holder(job, lambda: self.claims.started(job, pid=1))

    @rule(job=held, step=st.integers(0, 5), advanced=st.booleans())
    def beat(self, job, step, advanced):
        self._as_holder(job, lambda: self.claims.heartbeat(job, {"step": step}, advanced=advanced))

    @rule(job=held, ended=st.sampled_from(ENDS))
    def end(self, job, ended):
        self._as_holder(job, lambda: self.claims.end(job, ended))

    @rule(verb=st.sampled_from(["cancel", "pause", "resume"]), number=st.integers(1, 4))
    def ask(self, verb, number):
        try:
            getattr(self.requests, verb)(f"job-{number}")
        except RecipeError as error:
            assert error.remedy

    @rule(seconds=st.sampled_from([-100.0, 1.0, 31.0, 1000.0]))
    def clock_jumps(self, seconds):
        self.clock.advance(seconds)

    @rule()
    def reap(self):
        for held in self.claims.held():
            self.claims.take_from_the_lost(held.job)

    def _as_holder(self, job, act):
        """A holder whose fence is an old one can change nothing; one with the newest can, as long as it holds."""
        if job is None:
            return
        before = Listing(self.database).get(job.id)
        holds = before.fence == job.fence and before.state in HELD
        try:
            act()
        except Superseded:
            assert not holds
            assert Listing(self.database).get(job.id) == before
        else:
            assert holds

    @invariant()
    def states_make_sense(self):
        for job in Listing(self.database).page(limit=200).jobs:
            assert (job.lease_owner is not None) == (job.state in HELD)
            if job.state in TERMINAL:
                assert job.reason is not None
                assert job.message
                assert job.ended_at is not None

    @invariant()
    def events_tell_the_whole_way(self):
        for job in Listing(self.database).page(limit=200).jobs:
            told = EventLog(self.database, self.clock).after(0, job_id=job.id)
            states = [JobState(str(event.data["to"])) for event in told]
            assert states[-1] is job.state
            assert all(new in TRANSITIONS[old] for old, new in pairwise(states))


JobsMachine.TestCase.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
TestJobsMachine = JobsMachine.TestCase
