"""A backend as another package would write it: text messages through an HTTP gateway."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from django.core import checks

from django_pushjobs.backends import BasePushBackend, Message, Outcome, OutcomeClass, Row, Target
from django_pushjobs.backends.http_answers import NO_ANSWER, STATUSES
from django_pushjobs.backends.options import require_positive
from django_pushjobs.backends.outcomes import storable_id
from django_pushjobs.transport.connections import Connections
from django_pushjobs.transport.exchanges import exchange
from django_pushjobs.transport.requests import USER_AGENT, http_request

API = "https://sms.example/docs/api#errors"


class SmsBackend(BasePushBackend):
    """Sends the body of each message to one phone number."""

    provider_name = "the SMS gateway"
    answer_rows = (
        *NO_ANSWER,
        *STATUSES,
        Row("402", "", OutcomeClass.CONFIG, API, "the account at {provider} has no credit"),
        Row("422", "unknown_number", OutcomeClass.DROP, API),
        Row("422", "too_long", OutcomeClass.FAIL, API),
        Row("429", "daily_limit", OutcomeClass.THROTTLE, API, wait=3_600),
    )
    max_payload = 1_600

    def __init__(
        self,
        *,
        alias: str,
        url: str,
        key: str,
        sender: str,
        timeout: float = 10.0,
        answers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(alias=alias, answers=answers)
        require_positive(timeout=timeout)
        if not sender.isalnum():
            raise ValueError("sender must consist of letters and digits")
        self.timeout: float = timeout
        self.sender = sender
        self._gateway = Connections(url, size=100, connect_timeout=5.0)
        self._headers = {
            "User-Agent": USER_AGENT,
            "Authorization": f"Bearer {key}",
            "Content-Type": "application/json",
        }

    def check(self, **kwargs: Any) -> list[checks.CheckMessage]:
        messages = super().check(**kwargs)
        if len(self.sender) > 11 and not self.sender.isdecimal():
            messages.append(
                checks.Warning(
                    f"Push backend {self.alias!r}: networks cut off the sender {self.sender!r}.",
                    hint="A sender with letters has at most 11 characters.",
                    id="sms.W001",
                )
            )
        return messages

    def payload(self, message: Message) -> dict[str, Any]:
        return {"body": message.body}

    def problem_with(self, address: str) -> str | None:
        if re.fullmatch(r"\+[1-9][0-9]{6,14}", address):
            return None
        return "a phone number starts with + and the code of the country"

    def push(self, message: Message, target: Target) -> Outcome:
        sms = {
            "id": str(target.delivery_id),  # the gateway sends each id once
            "from": self.sender,
            "to": target.address,
            "text": message.body,
        }
        gateway = self._gateway
        body = json.dumps(sms).encode()
        request = http_request(gateway.path, gateway.authority, self._headers, body)
        reply = exchange(gateway, request, timeout=self.timeout, max_response=4_096)
        said = _json(reply.body)
        return self.answers.outcome(
            reply.answer,
            str(said.get("error", "")),
            provider_id=storable_id(said.get("message_id")),
            retry_after=reply.retry_after,
        )

    def close(self) -> None:
        self._gateway.close()


def _json(body: bytes) -> dict[str, Any]:
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}
