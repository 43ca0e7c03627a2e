"""Which URLs of others may be posted to."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from django.test import override_settings

from django_pushjobs.exceptions import DestinationRefused
from django_pushjobs.transport import destinations

PUBLIC = "93.184.215.14"


class Resolver:
    """A name server under test control: each call gets the next of the answers, the last stays."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, int]] = []

    def __call__(self, host: str, port: int, **kwargs: Any) -> list[destinations.AddressInfo]:
        self.asked.append((host, port))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [
            (
                socket.AF_INET6 if ":" in ip else socket.AF_INET,
                socket.SOCK_STREAM,
                6,
                "",
                (ip, port),
            )
            for ip in answer
        ]


def refused(url: str, *addresses: str) -> str:
    with pytest.raises(DestinationRefused) as caught:
        destinations.check(url, lookup=Resolver(list(addresses or [PUBLIC])))
    return caught.value.code


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("https://example.com", "example.com", 443),
        ("https://example.com/hooks?tenant=1", "example.com", 443),
        ("https://EXAMPLE.com:8443/", "example.com", 8443),
        ("https://93.184.215.14/hook", "93.184.215.14", 443),
        ("https://[2606:4700:4700::1111]/", "2606:4700:4700::1111", 443),
        ("https://1.example.com/a@b", "1.example.com", 443),
        ("https://xn--bcher-kva.example/", "xn--bcher-kva.example", 443),
    ],
)
def test_a_url_of_the_public_internet_is_fine(url: str, host: str, port: int) -> None:
    resolver = Resolver([PUBLIC])
    destination = destinations.check(url, lookup=resolver)
    assert (destination.host, destination.port) == (host, port)
    assert resolver.asked == [(host, port)]


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.8.9.10", "::1", "0.0.0.0", "::"),
        *("10.1.2.3", "172.16.0.1", "192.168.1.1", "fd00::1", "fec0::1"),
        *("169.254.169.254", "fe80::1", "fe80::1%eth0", "168.63.129.16", "fd00:ec2::254"),
        *("100.64.0.1", "100.127.255.254"),
        *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254"),
        *("64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b::6440:1", "64:ff9b:1::5db8:d70e"),
        *("::127.0.0.1", "::5db8:d70e", "2002:7f00:1::", "2001:0:4136:e378::1"),
        *("224.0.0.1", "ff02::1", "255.255.255.255", "240.0.0.1", "192.0.2.1", "2001:db8::1"),
        *("198.18.0.1", "192.0.0.8", "192.88.99.1", "not an address"),
    ],
)
def test_a_host_with_any_other_address_is_refused(address: str) -> None:
    assert not destinations.is_public(address)
    assert refused("https://hooks.example/", address) == "forbidden_address"
    assert refused("https://hooks.example/", PUBLIC, address) == "forbidden_address"


@pytest.mark.parametrize("address", [PUBLIC, f"::ffff:{PUBLIC}", "64:ff9b::5db8:d70e"])
def test_an_address_that_stands_for_a_public_one_is_public(address: str) -> None:
    assert destinations.is_public(address)


@pytest.mark.parametrize(
    "host",
    [
        *("2130706433", "0x7f000001", "0x7f.1", "127.1", "127.0.1", "0177.0.0.1", "0300.0250.1.1"),
        *("127.0.0.1.", "134744072", "8.8.8.010", "1.2.3.4.5", "example.0x", "example.1"),
    ],
)
def test_an_address_in_an_unusual_notation_is_refused(host: str) -> None:
    assert refused(f"https://{host}/") == "numeric_host"


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "[::1]", "169.254.169.254", "[::ffff:7f00:1]", "[64:ff9b::7f00:1]"]
)
def test_an_address_in_the_url_is_checked_without_a_look_up(host: str) -> None:
    with pytest.raises(DestinationRefused) as caught:
        destinations.parse(f"https://{host}/")
    assert caught.value.code == "forbidden_address"


@pytest.mark.parametrize(
    "url",
    [
        "https://user@example.com/",
        "https://user:password@example.com/",
        "https://example.com@127.0.0.1/",
        "https://@example.com/",
    ],
)
def test_credentials_are_refused(url: str) -> None:
    assert refused(url) == "credentials"


@pytest.mark.parametrize(
    "url",
    [
        *("", "example.com", "//example.com/", "ftp://example.com/", "file:///etc/passwd"),
        *("gopher://example.com/", "https://", "https:///hook", "https:example.com"),
        *("https://example.com\\.evil.example/", "https://example.com/\r\nX: y", "https://a b/"),
        *("https://ex\tample.com/", " https://example.com/", "https://bücher.example/"),
        *("https://example.com:0/", "https://example.com:99999/", "https://example.com:/x:y#f"),
        *("https://example.com/#fragment", "https://%31%32%37.0.0.1/", "https://[fe80::1%25lo]/"),
        *("https://[::1/", "https://①②⑦.⓪.⓪.①/", "https://example.com/" + "x" * 2_048),
    ],
)
def test_what_is_not_a_url_of_a_web_server_is_refused(url: str) -> None:
    assert refused(url) == "invalid_url"


def test_plain_http_is_refused() -> None:
    assert refused("http://example.com/") == "https_required"


def test_a_name_that_changes_its_mind_is_caught_each_time() -> None:
    """DNS rebinding: public when it is registered, private when it is called."""
    resolver = Resolver([PUBLIC], ["10.0.0.1"])
    destination = destinations.check("https://rebinding.example/", lookup=resolver)
    with pytest.raises(DestinationRefused):
        destinations.resolve(destination.host, destination.port, lookup=resolver)


def test_a_host_without_an_address_may_have_one_later() -> None:
    def nowhere(*args: Any, **kwargs: Any) -> list[destinations.AddressInfo]:
        raise socket.gaierror(socket.EAI_NONAME, "not known")

    with pytest.raises(DestinationRefused) as caught:
        destinations.check("https://nowhere.example/", lookup=nowhere)
    assert (caught.value.code, caught.value.transient) == ("unresolvable", True)


@override_settings(PUSHJOBS={"INSECURE_DESTINATIONS": True})
def test_development_may_use_http_and_this_machine() -> None:
    assert destinations.check("http://localhost:8000/hook").port == 8000
    assert destinations.check("http://127.0.0.1/hook").port == 80
    assert refused("http://hooks.example/", "10.0.0.1") == "forbidden_address"
    assert refused("http://metadata.example/", "169.254.169.254") == "forbidden_address"
    assert refused("http://2130706433/") == "numeric_host"


def test_a_name_server_that_gives_thousands_of_addresses() -> None:
    resolver = Resolver([f"8.8.{number // 256}.{number % 256}" for number in range(4_000)])
    assert len(destinations.resolve("many.example", 443, lookup=resolver)) == 64
