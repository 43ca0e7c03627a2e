"""The attack harness: ``python -m tests.attack`` is hostile, and looks at what others feel of it.

It runs the real thing: a web server with greenlets, ``rqgeventworker`` processes, its own Valkey
and PostgreSQL, the gateway simulator, and peers that answer as badly as they can. Another client
submits at a steady pace meanwhile. docs/explanation/attacks.rst explains what it does and how to
read what it prints.
"""
