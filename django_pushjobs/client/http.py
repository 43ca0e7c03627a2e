"""The calls of the API, repeated where that is safe."""

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

#: Statuses that say: come back. So does a 409 with a ``Retry-After``: the first call still runs.
_COME_BACK: Final = frozenset({429, 502, 503, 504})
#: Seconds before the first repetition where nobody said; doubles with each further one.
_FIRST_WAIT: Final = 0.5
_LONGEST_WAIT: Final = 30.0
#: Seconds between two looks at a push request where nobody said.
_POLL: Final = 1.0


class PushClient:
    """A client of the HTTP API. It may be shared by threads; close it, or use it with ``with``.

    Calls that got no answer, and those that a limit or a failure of the service has refused, are
    made again for as long as ``patience`` lasts, not before ``Retry-After``. That is safe: every
    submission carries an ``Idempotency-Key``, so that what was accepted already is not accepted
    twice.

    :param url: where the API is mounted, such as ``https://push.example.com/api/v1``.
    :param key: the secret of a key.
    :param timeout: seconds for one call.
    :param patience: seconds for one call and its repetitions; 0 repeats nothing.
    :param transport: of httpx, for proxies and for tests.
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
        """Hand over one message.

        :param idempotency_key: one of your own makes a repetition safe after this process has died,
            too; by default there is a new one for every call of this method.
        :param wait: seconds that the service may wait for the end before it answers.
        :param fields: ``title``, ``body``, ``data``, ``priority`` and so on; times are aware.
        :raises InvalidRequest: a field is wrong; nothing was stored.
        :raises ApiError: it was refused otherwise.
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
        """Hand over many messages in one call; the service says how many it takes, often 1,000.

        :param items: each with ``recipients`` and the fields of :meth:`submit`.
        :returns: for each item, in order, what was stored or why it was not.
        :raises InvalidRequest: no item is right; nothing was stored.
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

    # Look.

    def get(self, request: PushRequest | str) -> PushRequest:
        """Return where a push request stands.

        :raises NotFound: there is none with this id.
        """
        return PushRequest.of(self._call("GET", _path(request)).json())

    def wait(self, request: PushRequest | str, *, timeout: float = 60.0) -> PushRequest:
        """Return a push request once it has ended. Looks as often as the service says, and an
        answer that nothing has changed costs it next to nothing.

        :raises TimeoutError: it has not within ``timeout`` seconds.
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
            pause = max(0.01, _POLL if (said := _retry_after(answer)) is None else said)
            if time.monotonic() + pause > deadline:
                raise TimeoutError(f"{path} has not ended within {timeout:g} s")
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

    # Act.

    def cancel(self, request: PushRequest | str) -> PushRequest:
        """Cancel a push request; what is in flight ends nevertheless.

        :raises Conflict: it has ended already.
        """
        return PushRequest.of(self._call("POST", f"{_path(request)}/cancel").json())

    def retry(self, request: PushRequest | str) -> PushRequest:
        """Push a failed or partial request again, to the addresses that were not accepted.

        :raises Conflict: it is neither.
        """
        return PushRequest.of(self._call("POST", f"{_path(request)}/retry").json())

    # How.

    def _pages(self, path: str, query: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        page = self._call("GET", path, params=query).json()
        yield from page["results"]
        while page["next"]:
            # Only its query: a proxy may have told the service another host than ours.
            page = self._call("GET", path, params=httpx.URL(page["next"]).params).json()
            yield from page["results"]

    def _call(self, method: str, path: str, **kwargs: Any) -> httpx.Response:
        """Make a call, again where that helps, and return the answer.

        :raises PushError: it did not help.
        """
        deadline = time.monotonic() + self.patience
        attempt = 0
        while True:
            error: ApiError | Unreachable
            try:
                answer = self._http.request(method, path, **kwargs)
            except httpx.TransportError as failure:
                error, said, again = Unreachable(f"{method} {path}: {failure!r}"), None, True
            else:
                if answer.is_success or answer.status_code == 304:
                    return answer
                said = _retry_after(answer)
                error = error_for(Problem.of(answer.status_code, _json(answer)), said)
                again = _may_come_back(answer.status_code, said)
            backoff = min(_LONGEST_WAIT, _FIRST_WAIT * 2**attempt) * random.uniform(0.5, 1)  # noqa: S311
            pause = max(said or 0.0, backoff)
            if not again or time.monotonic() + pause > deadline:
                raise error
            time.sleep(pause)
            attempt += 1


def _may_come_back(status: int, said: float | None) -> bool:
    if status == 429:
        # Without a time it asks for more than there ever is.
        return said is not None
    return status in _COME_BACK or (status == 409 and said is not None)


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
    """Times as RFC 3339 has them; nothing where nothing was said."""
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in fields.items()
        if value is not None
    }
