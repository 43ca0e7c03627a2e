"""What a third party can put into a push request, drawn by chance: right, wrong and malicious."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from tests.support.answer_cases import CASES, Case
from tests.support.answering import Providers

#: Values that are out of place nearly everywhere.
_ODD: Final[Sequence[Any]] = (
    *(None, True, -1, 0, 10**12, 1.5, "", " ", "0", "\u202e", "é" * 300, "x" * 5_000, "a\nb"),
    *([], {}, [1], {"a": {"b": [None]}}),
)
_APNS_HEADERS: Final = {
    "apns-topic": ("com.example.app", "com.example.app.voip", "com.example.app.nope", "*"),
    "apns-push-type": ("alert", "background", "voip", "location", "liveactivity", "mdm", "nope"),
    "apns-priority": ("10", "5", "1", 10, "11"),
    "apns-expiration": ("0", "1", "9999999999", "99999999999"),
    "apns-collapse-id": ("a", "b" * 64, "c" * 65),
    "apns-id": ("x",),
    "authorization": ("bearer x",),
}
_WEBPUSH_HEADERS: Final = {
    "TTL": ("0", "1", "2419200", "2419201", 60),
    "Urgency": ("very-low", "high", "nope"),
    "Topic": ("a", "b" * 32, "c" * 33, "ü"),
    "Authorization": ("vapid t=x, k=y",),
    "Host": ("example.org",),
}
_ANDROID: Final = {"priority": ("high", "normal", "nope"), "ttl": ("0s", "60s", "-1s", "nope")}


class Mischief:
    """Draws bodies of push requests for one backend.

    :param alias: the backend that they name.
    :param providers: the addresses are theirs, among them those that get every answer there is.
    """

    def __init__(self, backend: str, alias: str, providers: Providers, seed: int) -> None:
        self.alias = alias
        self.providers = providers
        self.chance = random.Random(seed)
        self.cases: list[Case] = [
            case for case in CASES if case.backend == backend and not case.is_of_all
        ]
        self.drawn = 0

    def body(self) -> dict[str, Any]:
        chance = self.chance
        body: dict[str, Any] = {
            "backend": self.alias,
            "recipients": [self._recipient() for _ in range(chance.choice((1, 1, 2, 5, 20)))],
            "title": "Mischief",
        }
        fields: dict[str, Callable[[], Any]] = {
            "body": lambda: chance.choice(("", "text", "x" * 3_000)),
            "data": self._data,
            "options": self._options,
            "priority": lambda: chance.choice(("high", "normal", "low", "nope")),
            "collapse_key": lambda: chance.choice(("", "a", "k" * 64, "é" * 64)),
            "expires_at": lambda: self._soon(-5, 60),
            "send_at": lambda: self._soon(-5, 5),
            "on_unknown": lambda: chance.choice(("retry", "stop", "nope")),
            "reference": lambda: chance.choice(("", "r" * 255, "🍣")),
        }
        for name, draw in fields.items():
            if chance.random() < 0.4:
                body[name] = chance.choice(_ODD) if chance.random() < 0.1 else draw()
        return body

    def _recipient(self) -> Any:
        chance = self.chance
        self.drawn += 1
        if chance.random() < 0.1:
            return chance.choice((*_ODD, {"user": 1}, {"tag": "all"}, {"address": "x"}, "x" * 64))
        address = self.providers.address(chance.choice(self.cases), self.drawn)
        return {"address": address} if chance.random() < 0.3 else address

    def _data(self) -> Any:
        names = ("a", "aps", "gcm.x", "google.y", "from", "notification", "message_type", "id")
        return {name: self._odd("text") for name in self.chance.sample(names, 3)}

    def _options(self) -> Any:
        chance = self.chance
        options: dict[str, Any] = {
            "badge": self._odd(3),
            "sound": self._odd("default"),
            "click_action": self._odd("https://example.org/"),
            "image": self._odd("https://example.org/a.png"),
            "ttl": chance.choice((0, 1, 60, 2_419_200, 2_419_201, -1)),
            "apns": {"headers": self._some(_APNS_HEADERS), "payload": {"aps": self._odd({})}},
            "webpush": {"headers": self._some(_WEBPUSH_HEADERS)},
            "fcm": {
                "android": self._some(_ANDROID),
                "apns": {"headers": self._some(_APNS_HEADERS)},
                "webpush": {"headers": self._some(_WEBPUSH_HEADERS)},
                "token": self._odd("x"),
            },
            "nope": self._odd("x"),
        }
        return {name: options[name] for name in chance.sample(sorted(options), 2)}

    def _some(self, choices: dict[str, Sequence[Any]]) -> dict[str, Any]:
        names = self.chance.sample(sorted(choices), 2)
        return {name: self._odd(self.chance.choice(choices[name])) for name in names}

    def _odd(self, value: Any) -> Any:
        return self.chance.choice(_ODD) if self.chance.random() < 0.1 else value

    def _soon(self, least: int, most: int) -> str:
        at = datetime.now(UTC) + timedelta(seconds=self.chance.uniform(least, most))
        return at.isoformat()
