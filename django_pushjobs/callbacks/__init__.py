"""Telling third parties what became of their push requests: Standard Webhooks 1.0.0.

An event is written to the outbox in the transaction that makes it true (:mod:`.outbox`), and a
job calls the endpoint until it has taken the event over (:mod:`.sender`). The rows are the truth
here as well; :mod:`.sweeping` rings for what nobody rang for. What people do to endpoints and
events is in :mod:`.endpoints` and :mod:`.replays`.
"""
