"""One device, however its address is spelled."""

from __future__ import annotations

import base64
import json
from secrets import token_bytes
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from django_pushjobs.backends import BasePushBackend
from django_pushjobs.backends.apns import APNsBackend
from django_pushjobs.backends.dummy import DummyBackend
from django_pushjobs.backends.fcm import FCMBackend
from django_pushjobs.backends.subscriptions import Subscription, endpoint_of
from django_pushjobs.backends.webpush import WebPushBackend

POINT = (
    ec.generate_private_key(ec.SECP256R1())
    .public_key()
    .public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
)
AUTH = token_bytes(16)

#: No examples that are kept, no time that a busy machine could exceed.
steady = settings(
    max_examples=50, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


def make(kind: type[BasePushBackend]) -> Any:
    """A backend without its options: the form of an address depends on none of them."""
    return kind.__new__(kind)


@st.composite
def subscriptions(draw: st.DrawFn, path: str) -> str:
    """A subscription at ``path``, as one serializer or another writes it."""
    padding = draw(st.sampled_from(["", "="]))
    p256dh = base64.urlsafe_b64encode(POINT).decode().rstrip("=") + padding
    auth = base64.urlsafe_b64encode(AUTH).decode().rstrip("=") + padding * 2
    host = draw(st.sampled_from(["push.example", "Push.Example", "push.example:443"]))
    members: dict[str, Any] = {
        "endpoint": f"https://{host}{path}",
        "keys": dict(draw(st.permutations([("p256dh", p256dh), ("auth", auth)]))),
    }
    if draw(st.booleans()):
        members["expirationTime"] = draw(st.one_of(st.none(), st.integers(0)))
    if draw(st.booleans()):
        members["own"] = draw(st.text())
    ordered = dict(draw(st.permutations(list(members.items()))))
    text = json.dumps(
        ordered,
        ensure_ascii=draw(st.booleans()),
        separators=draw(st.sampled_from([(",", ":"), (", ", ": "), (" , ", " : ")])),
    )
    return draw(st.sampled_from(["", " "])) + text + draw(st.sampled_from(["", " "]))


LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
paths = st.builds(
    "/{}{}".format,
    st.text(LETTERS + "_~-", min_size=1, max_size=40),
    st.sampled_from(["", "?k=1", "?k=2"]),
)


class TestWebPush:
    backend = make(WebPushBackend)

    @steady
    @given(paths.flatmap(lambda path: st.tuples(subscriptions(path), subscriptions(path))))
    def test_spellings_of_one_subscription_are_one(self, two: tuple[str, str]) -> None:
        one, other = two
        assert self.backend.canonical(one) == self.backend.canonical(other)
        assert self.backend.canonical(one).startswith("https://push.example/")
        assert Subscription.parse(one).path == Subscription.parse(other).path

    @steady
    @given(paths, paths, st.data())
    def test_two_subscriptions_are_two(self, one: str, other: str, data: st.DataObject) -> None:
        forms = {self.backend.canonical(data.draw(subscriptions(path))) for path in (one, other)}
        assert len(forms) == len({one, other})

    @pytest.mark.parametrize(
        "other",
        [
            "HTTPS://push.example/a-b",
            "https://push.example:443/a-b",
            "https://PUSH.example/a-b",
            "https://push.example/%61-b",
            "https://push.example/a%2Db",
            "https://push.example/a%2db",
        ],
    )
    def test_an_endpoint_is_a_url(self, other: str) -> None:
        assert endpoint_of(json.dumps({"endpoint": other})) == "https://push.example/a-b"

    def test_what_is_reserved_stays_as_it_is(self) -> None:
        text = json.dumps({"endpoint": "https://push.example/a%2fb?x=%3a"})
        assert endpoint_of(text) == "https://push.example/a%2Fb?x=%3A"

    @pytest.mark.parametrize(
        "address",
        [
            *("hello", "[]", "1", '{"endpoint": 1}', '{"endpoint": "https://[x"}', "[" * 9_999),
            '{"endpoint": "https://push.example/\\ud800"}',
        ],
    )
    def test_anything_else_is_left_alone_and_refused(self, address: str) -> None:
        assert self.backend.canonical(address) == address

    @steady
    @given(st.text())
    def test_nothing_makes_it_raise(self, address: str) -> None:
        self.backend.canonical(address)
        self.backend.canonical(json.dumps({"endpoint": address})).encode()


class TestAPNs:
    backend = make(APNsBackend)

    @steady
    @given(st.binary(min_size=1, max_size=100), st.data())
    def test_upper_and_lower_case_are_one(self, token: bytes, data: st.DataObject) -> None:
        cases = data.draw(st.lists(st.booleans(), min_size=200, max_size=200))
        mixed = "".join(
            c.upper() if upper else c for c, upper in zip(token.hex(), cases, strict=False)
        )
        assert self.backend.problem_with(mixed) is None
        assert self.backend.canonical(mixed) == token.hex()

    @pytest.mark.parametrize(
        "address", ["hello", "ab cd", " abcd", "abc", "abcd ", "<abcd>", "ab" * 101]
    )
    def test_what_is_not_a_token_is_refused(self, address: str) -> None:
        assert "device token" in self.backend.problem_with(address)


class TestFCM:
    backend = make(FCMBackend)

    @steady
    @given(st.text(LETTERS + "_-", min_size=1, max_size=140).map("d:APA91b{}".format))
    def test_a_token_is_its_own_form(self, token: str) -> None:
        for address in (token, f"token:{token}"):
            assert self.backend.problem_with(address) is None
            assert self.backend.canonical(address) == token
        assert self.backend.canonical(token.swapcase()) != token

    @pytest.mark.parametrize("address", ["a b", "ä", "token:", " a"])
    def test_what_cannot_be_a_token_is_refused(self, address: str) -> None:
        assert "registration token" in self.backend.problem_with(address)

    @pytest.mark.parametrize("address", ["topic:news", "condition:'a' in topics && 'b' in topics"])
    def test_topics_can_be_pushed_to(self, address: str) -> None:
        assert self.backend.problem_with(address) is None


@steady
@given(st.text())
def test_other_addresses_have_one_spelling(address: str) -> None:
    assert DummyBackend(alias="dummy").canonical(address) == address
