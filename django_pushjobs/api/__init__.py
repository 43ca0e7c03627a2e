"""The HTTP API for third parties; needs the extra ``api``."""
