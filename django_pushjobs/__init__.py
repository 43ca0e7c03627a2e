"""Push messages for third parties: a Django reusable app on RQ and gevent."""

# Nothing may be imported here: the package is loaded before gevent patches.
__version__ = "0.1.0"
