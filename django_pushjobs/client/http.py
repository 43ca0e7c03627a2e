"""The calls of the API, repeated if that is safe."""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, Final
from uuid import uuid4

import httpx

from .errors import ApiError, Problem, Unreachable, error_for
from .resources import PushRequest, Receipt

#: A recipient is an address, or somebody the server knows: ``{"user": 17}``.
Recipient = str | Mapping[str, Any]

#: Statuses that ask for a retry. So does a 409 with a ``Retry-After``: the first call is running.
_RETRYABLE: Final = frozenset({429, 502, 503, 504})
#: Seconds before the first retry if the API does not say; doubles with each further one.
_FIRST_WAIT: Final = 0.5
_LONGEST_WAIT: Final = 30.0
#: Seconds between two looks at a push request if the API does not say.
_POLL: Final = 1.0
#: Bytes of an answer; the largest are those to batches and pages.
MAX_ANSWER: Final = 33_554_432
#: Headers that are about the way of a body, not about the body.
_TRANSFER: Final = frozenset({"content-encoding", "content-length", "transfer-encoding"})


class PushClient:
    """A client of the HTTP API. Threads may share it; close it, or use it with ``with``.

    A call that gets no answer, or that is refused because of a limit or a failure of the service,
    is repeated after ``Retry-After`` for up to ``patience`` seconds. That is safe: every submission
    has an ``Idempotency-Key``, so nothing is accepted twice.

    :param url: where the API is mounted, such as ``https://push.example.com/api/v1``.
    :param key: the API key, as it was shown when it was issued.
    :param timeout: seconds for one attempt, to each next part of the answer, and for all of its
        body.
    :param patience: seconds for a call with all its attempts; 0 makes only one.
    :param transport: a transport of httpx, for proxies and for tests.
    """

    def __init__(
        self,
        url: str,
        key: str,
        *,
        timeout: float = 10.0,
        patience: float = 60.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.patience = patience
        self._timeout = timeout
        self._http = httpx.Client(
            base_url=f"{url.rstrip('/')}/",
            headers={"Authorization": f"Bearer {key}", "User-Agent": "django-pushjobs-client"},
            timeout=timeout,
            transport=transport,
        )

    def __enter__(self) -> PushClient:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    # Submit.

    def submit(
        self,
        recipients: Iterable[Recipient],
        *,
        idempotency_key: str | None = None,
        wait: float = 0,
        **fields: Any,
    ) -> PushRequest:
        """Submit one message.

        :param idempotency_key: with a key of your own, it is safe to repeat the call even after
            this process has died; by default every call of this method has a new one.
        :param wait: seconds that the service may wait until it is done before it answers.
        :param fields: ``title``, ``body``, ``data``, ``priority`` and so on; times must be aware.
        :raises InvalidRequest: a field is wrong; nothing was stored.
        :raises ApiError: it was refused for another reason.
        :raises Unreachable: there was no answer.
        """
        headers = _idempotent(idempotency_key)
        if wait > 0:
            headers["Prefer"] = f"respond-async, wait={int(wait)}"
        body = {"recipients": list(recipients), **_as_json(fields)}
        timeout = self._timeout + max(0.0, wait)
        answer = self._call("POST", "push-requests", json=body, headers=headers, timeout=timeout)
        return PushRequest.of(answer.json())

    def submit_many(
        self, items: Iterable[Mapping[str, Any]], *, idempotency_key: str | None = None
    ) -> list[PushRequest | Problem]:
        """Submit many messages in one call; the service limits how many, by default to 1,000.

        :param items: each with ``recipients`` and the fields of :meth:`submit`.
        :returns: for each item, in order, the push request, or the problem if it was refused.
        :raises InvalidRequest: no item is valid; nothing was stored.
        """
        body = {"items": [_as_json(item) for item in items]}
        headers = _idempotent(idempotency_key)
        answer = self._call("POST", "push-requests/batch", json=body, headers=headers)
        return [
            PushRequest.of(ticket["push_request"])
            if ticket.get("push_request")
            else Problem.of(ticket["status"], ticket.get("problem"))
            for ticket in answer.json()["items"]
        ]

    # Read.

    def get(self, request: PushRequest | str) -> PushRequest:
        """Return the state of a push request.

        :raises NotFound: there is none with this id.
        """
        return PushRequest.of(self._call("GET", _path(request)).json())

    def wait(self, request: PushRequest | str, *, timeout: float = 60.0) -> PushRequest:
        """Return a push request once it is done. Looks as often as the service says; as long as
        nothing has changed, that costs the service next to nothing.

        :raises TimeoutError: it is not done within ``timeout`` seconds.
        """
        deadline = time.monotonic() + timeout
        path, tag, state = _path(request), "", None
        while True:
            headers = {"If-None-Match": tag} if tag else {}
            answer = self._call("GET", path, headers=headers)
            if answer.status_code != 304:
                state, tag = PushRequest.of(answer.json()), answer.headers.get("ETag", "")
            if state is not None and state.done:
                return state
            pause = max(
                0.01, _POLL if (retry_after := _retry_after(answer)) is None else retry_after
            )
            if time.monotonic() + pause > deadline:
                raise TimeoutError(f"{path} is not done after {timeout:g} s")
            time.sleep(pause)

    def receipts(self, request: PushRequest | str) -> Iterator[Receipt]:
        """Yield what became of each address, page by page."""
        for item in self._pages(f"{_path(request)}/deliveries", {}):
            yield Receipt.of(item)

    def list(self, **filters: str | datetime | Sequence[str]) -> Iterator[PushRequest]:
        """Yield the push requests of this client, newest first, page by page.

        :param filters: ``status`` (one or several), ``reference``, ``backend``, ``created_after``,
            ``created_before``.
        """
        for item in self._pages("push-requests", _as_json(filters)):
            yield PushRequest.of(item)

    # Change.

    def cancel(self, request: PushRequest | str) -> PushRequest:
        """Cancel a push request; what is in flight is not interrupted.

        :raises Conflict: it has already ended otherwise.
        """
        return PushRequest.of(self._call("POST", f"{_path(request)}/cancel").json())

    def retry(self, request: PushRequest | str) -> PushRequest:
        """Push a failed or partial request again, to the addresses that were not accepted.

        :raises Conflict: it is neither failed nor partial.
        """
        return PushRequest.of(self._call("POST", f"{_path(request)}/retry").json())

    # How calls are made.

    def _pages(self, path: str, query: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        page = self._call("GET", path, params=query).json()
        yield from page["results"]
        while page["next"]:
            # Only its query: behind a proxy, the service may have another idea of its host.
            page = self._call("GET", path, params=httpx.URL(page["next"]).params).json()
            yield from page["results"]

    def _call(self, method: str, path: str, **kwargs: Any) -> httpx.Response:
        """Make a call, repeat it if that may help, and return the answer.

        :raises PushError: none of the attempts succeeded.
        """
        deadline = time.monotonic() + self.patience
        attempt = 0
        while True:
            error: ApiError | Unreachable
            try:
                answer = self._attempt(method, path, **kwargs)
            except httpx.TransportError as failure:
                error, retry_after = Unreachable(f"{method} {path}: {failure!r}"), None
                retryable = True
            else:
                if answer.is_success or answer.status_code == 304:
                    return answer
                retry_after = _retry_after(answer)
                error = error_for(Problem.of(answer.status_code, _json(answer)), retry_after)
                retryable = _is_retryable(answer.status_code, retry_after)
            # Jitter spreads load; nobody gains by guessing it.
            jitter = random.uniform(0.5, 1)  # noqa: S311 # nosec B311
            backoff = min(_LONGEST_WAIT, _FIRST_WAIT * 2**attempt) * jitter
            pause = max(retry_after or 0.0, backoff)
            if not retryable or time.monotonic() + pause > deadline:
                raise error
            time.sleep(pause)
            attempt += 1

    def _attempt(self, method: str, path: str, **kwargs: Any) -> httpx.Response:
        """Make one attempt. httpx limits neither the size of an answer nor, as long as there is
        something to read, the time that it takes.

        :raises httpx.TransportError: there is no answer, or it does not end.
        """
        body = bytearray()
        with self._http.stream(method, path, **kwargs) as answer:
            ends_at = time.monotonic() + kwargs.get("timeout", self._timeout)
            for part in answer.iter_bytes():
                body += part
                if len(body) > MAX_ANSWER:
                    raise httpx.ReadError("the answer is too long")
                if time.monotonic() > ends_at:
                    raise httpx.ReadTimeout("the answer does not end")
        headers = [pair for pair in answer.headers.multi_items() if pair[0] not in _TRANSFER]
        return httpx.Response(answer.status_code, headers=headers, content=bytes(body))


def _is_retryable(status: int, retry_after: float | None) -> bool:
    if status == 429:
        # Without a time the call asks for more than the whole limit.
        return retry_after is not None
    return status in _RETRYABLE or (status == 409 and retry_after is not None)


def _idempotent(key: str | None) -> dict[str, str]:
    return {"Idempotency-Key": f'"{key or uuid4()}"'}


def _path(request: PushRequest | str) -> str:
    return f"push-requests/{request.id if isinstance(request, PushRequest) else request}"


def _retry_after(answer: httpx.Response) -> float | None:
    text = answer.headers.get("Retry-After", "")
    return float(text) if text.isascii() and text.isdecimal() else None


def _json(answer: httpx.Response) -> Any:
    try:
        return answer.json()
    except ValueError:
        return None


def _as_json(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``fields`` with times as in RFC 3339, and without those that are None."""
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in fields.items()
        if value is not None
    }
