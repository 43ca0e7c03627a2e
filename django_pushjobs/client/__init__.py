"""A client of the HTTP API, for third parties; needs the extra ``client``, but no Django.

::

    from django_pushjobs.client import PushClient

    with PushClient("https://push.example.com/api/v1", key) as client:
        request = client.submit(["device-token"], title="Hello")
        request = client.wait(request)
        for receipt in client.receipts(request):
            print(receipt.address, receipt.status)

This package imports nothing else of ours, so it can be copied into another project.
"""

from .callbacks import Callback, InvalidCallback, verify_callback
from .errors import (
    ApiError,
    AuthenticationFailed,
    Conflict,
    Forbidden,
    InvalidRequest,
    NotFound,
    Problem,
    PushError,
    RateLimited,
    Unavailable,
    Unreachable,
)
from .http import PushClient
from .resources import Counts, Failure, PushRequest, Receipt

__all__ = [
    "ApiError",
    "AuthenticationFailed",
    "Callback",
    "Conflict",
    "Counts",
    "Failure",
    "Forbidden",
    "InvalidCallback",
    "InvalidRequest",
    "NotFound",
    "Problem",
    "PushClient",
    "PushError",
    "PushRequest",
    "RateLimited",
    "Receipt",
    "Unavailable",
    "Unreachable",
    "verify_callback",
]
