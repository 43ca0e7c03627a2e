"""The backends of providers against peers that speak their protocols; ``python -m`` this."""
