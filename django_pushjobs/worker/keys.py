"""The keys of RQ that our scripts name, as RQ makes them, under ``RQ_KEY_PREFIX``.

RQ hands out some of them only from objects that cost more than what is done with the key.
"""

from __future__ import annotations

from rq.defaults import RQ_KEY_PREFIX
from rq.executions import Execution
from rq.job import Job
from rq.suspension import WORKERS_SUSPENDED

__all__ = ["EXECUTION", "EXECUTIONS", "WIP", "WORKERS_SUSPENDED", "of_job", "of_queue"]

#: What keys begin with: of one execution, of the executions of a job, of the jobs of a queue that
#: are running, of those that finished, and of the results of a job.
EXECUTION = f"{RQ_KEY_PREFIX}:execution:"
EXECUTIONS = f"{RQ_KEY_PREFIX}:executions:"
WIP = f"{RQ_KEY_PREFIX}:wip:"
FINISHED = f"{RQ_KEY_PREFIX}:finished:"
RESULTS = f"{RQ_KEY_PREFIX}:results:"
JOB = f"{RQ_KEY_PREFIX}:job:"


def of_job(job: Job, execution: Execution) -> tuple[str, str, str, str, str]:
    """Return the keys of a job of RQ's own class: its record, dependents, results and executions,
    and the execution that is ours."""
    job_id = job.id  # it is a property
    return (
        JOB + job_id,
        f"{JOB}{job_id}:dependents",
        RESULTS + job_id,
        EXECUTIONS + job_id,
        f"{EXECUTION}{job_id}:{execution.id}",
    )


def of_queue(name: str) -> tuple[str, str]:
    """Return the keys of the jobs of a queue that finished, and of those that are running."""
    return FINISHED + name, WIP + name
