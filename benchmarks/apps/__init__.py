"""One module for each way to run jobs: how they are sent, and what its worker loads.

A module offers ``send(job, index)``, plain or a coroutine, where ``job`` is ``noop`` or ``push``.
It may offer ``send_many(job, indexes)``, which is used to send a backlog, and ``connected()``, an
asynchronous context manager that is held while jobs are sent.
"""
