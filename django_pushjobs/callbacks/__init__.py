"""Tell third parties what became of their push requests: Standard Webhooks 1.0.0.

The way of an event, and the modules on it: it is written to the :mod:`.outbox` in the transaction
that makes it true, :mod:`.dispatch` enqueues a job for its endpoint after the commit, and that job
is :mod:`.sender`. The sender takes one of the :mod:`.claims`, reads :mod:`.batches`, makes
:mod:`.attempts` through a :mod:`.courier` (signed by :mod:`.signing`), and writes the
:mod:`.results` back as :mod:`.settlements`, with the next attempt from the :mod:`.schedule`.

The rows are the truth here as well: :mod:`.sweeping` finds events whose job was lost, and
:mod:`.inheritance` frees what a dead process was calling. What people do to endpoints
and events is in :mod:`.endpoints` and :mod:`.replays`.
"""
