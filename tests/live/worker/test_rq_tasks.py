"""Django's tasks, through django-tasks-rq."""

from __future__ import annotations

import json

from tests.support.bursts import burst
from tests.support.stack import Stack

ENQUEUE = """
import json
from tests.support import tasks
ids = {
    "sync": [tasks.count_users.enqueue(n).id for n in range(20)],
    "async": [tasks.count_users_later.enqueue(n).id for n in range(20)],
    "context": [tasks.who_am_i.enqueue().id],
    "failed": [tasks.fail.enqueue().id],
}
print(json.dumps(ids))
"""

RESULTS = """
import json
from django_tasks import default_task_backend
ids = {ids!r}
found = dict()
for name, group in ids.items():
    results = [default_task_backend.get_result(id) for id in group]
    values = [r.return_value if r.status == "SUCCESSFUL" else None for r in results]
    errors = [e.exception_class_path for r in results for e in r.errors]
    found[name] = [sorted({{str(r.status) for r in results}}), values, errors]
print(json.dumps(found))
"""


def test_tasks_run_on_our_worker(stack: Stack) -> None:
    stack.environment["DJANGO_SETTINGS_MODULE"] = "tests.live.settings_tasks"
    ids = json.loads(stack.run(ENQUEUE))
    burst(stack, "--job-class=django_tasks_rq.Job")
    found = json.loads(stack.run(RESULTS.format(ids=ids)))
    assert found["sync"] == [["SUCCESSFUL"], list(range(20)), []]
    assert found["async"] == [["SUCCESSFUL"], list(range(20)), []]
    assert found["context"] == [["SUCCESSFUL"], ids["context"], []]
    assert found["failed"] == [["FAILED"], [None], ["builtins.ValueError"]]
