"""Side by side with the peers: ``make bench``, or ``python -m benchmarks --help``.

The harness runs in the project's environment. What runs in the peers' environments is ``apps``,
``jobs``, ``marks``, ``posting`` and ``producer``: they need the standard library and the peer.
"""
