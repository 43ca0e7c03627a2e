"""The chaos harness: ``python -m tests.chaos`` breaks what can break, and then counts.

It runs the real thing: ``rqgeventworker`` processes, its own Valkey and PostgreSQL, and the gateway
simulator as the witness of what was really sent. docs/explanation/chaos.rst explains what it does
and how to read what it prints.
"""
