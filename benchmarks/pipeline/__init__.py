"""The whole way of a push request: claimed in a database, pushed over HTTP, written back.

``python -m benchmarks.pipeline``, beside workers whose jobs do the same by hand.
"""
