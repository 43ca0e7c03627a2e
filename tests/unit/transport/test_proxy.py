"""Which proxy is used for a host, and what may be said of one."""

from __future__ import annotations

import base64

import pytest

from django_pushjobs.transport.proxy import Proxy, authority, proxy_for

SECRET = "canary-7f3a"


def test_a_url() -> None:
    assert Proxy.parse("http://proxy.example:3128") == Proxy("proxy.example", 3128)
    assert Proxy.parse("HTTP://Proxy.example/") == Proxy("proxy.example", 80)
    assert Proxy.parse("http://[2001:db8::1]:3128") == Proxy("2001:db8::1", 3128)


@pytest.mark.parametrize(
    ("user_info", "decoded"),
    [
        ("anna:secret", "anna:secret"),
        ("anna", "anna:"),
        ("anna:", "anna:"),
        (":secret", ":secret"),
        ("anna:a%3Ab%40c%2Fd%25", "anna:a:b@c/d%"),
        ("Zo%C3%AB:gr%C3%BC%C3%9Fe", "Zoë:grüße"),
        ("Zoë:grüße", "Zoë:grüße"),
        ("DOM%5Canna:x", "DOM\\anna:x"),
    ],
)
def test_the_user_info_is_decoded(user_info: str, decoded: str) -> None:
    proxy = Proxy.parse(f"http://{user_info}@proxy.example:3128")
    kind, _, value = proxy.authorization.partition(" ")
    assert (kind, base64.b64decode(value).decode()) == ("Basic", decoded)
    assert "Basic" not in repr(proxy)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "proxy.example:3128",
        f"anna:{SECRET}@proxy.example:3128",
        f"https://anna:{SECRET}@proxy.example:3128",
        f"socks5://anna:{SECRET}@proxy.example:1080",
        f"http://anna:{SECRET}@",
        f"http://anna:{SECRET}/x@proxy.example:3128",
        f"http://anna:{SECRET}?x@proxy.example:3128",
        f"http://anna:{SECRET}#x@proxy.example:3128",
        f"http://anna:{SECRET}@proxy.example:3128/path",
        f"http://anna:{SECRET}@proxy.example:port",
        f"http://anna:{SECRET}@proxy.example:0",
        f"http://anna:{SECRET}@proxy.example:99999",
        f"http://anna:{SECRET}@proxy..example:3128",
        f"http://anna:{SECRET}@[::1:3128",
        f"http://anna:{SECRET}@proxy\N{FULLWIDTH COLON}example",
        f"http://anna:{SECRET} @proxy.example:3128",
        f"http://anna:{SECRET}\r\nX: y@proxy.example:3128",
        f"http://an%3Ana:{SECRET}@proxy.example:3128",
        b"http://proxy.example:3128",
        3128,
    ],
)
def test_a_wrong_url_is_an_error_that_names_the_option_and_no_secret(url: str) -> None:
    with pytest.raises(ValueError, match=r"^proxy must ") as caught:
        proxy_for(url, scheme="https", host="push.example", port=443)
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def chosen(scheme: str = "https", host: str = "push.example", port: int = 443) -> Proxy | None:
    return proxy_for("environment", scheme=scheme, host=host, port=port)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("http_proxy", "https_proxy", "no_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return monkeypatch


def test_the_environment_is_asked_if_that_is_the_option(
    environment: pytest.MonkeyPatch,
) -> None:
    assert chosen() is None
    environment.setenv("HTTPS_PROXY", "http://upper.example:1")
    assert proxy_for(None, scheme="https", host="push.example", port=443) is None
    assert chosen() == Proxy("upper.example", 1)
    environment.setenv("https_proxy", "http://lower.example:2")
    assert chosen() == Proxy("lower.example", 2)
    assert chosen("http", port=80) is None
    environment.setenv("http_proxy", "plain.example:3")
    assert chosen("http", port=80) == Proxy("plain.example", 3)


@pytest.mark.parametrize(
    ("no_proxy", "is_direct"),
    [
        ("*", True),
        ("push.example", True),
        (".example", True),
        ("example", True),
        ("other.example, push.example", True),
        ("push.example:443", True),
        ("push.example:444", False),
        ("ush.example", False),
        ("127.0.0.1", False),
        ("", False),
    ],
)
def test_hosts_without_a_proxy(
    environment: pytest.MonkeyPatch, no_proxy: str, is_direct: bool
) -> None:
    environment.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    environment.setenv("NO_PROXY", no_proxy)
    assert (chosen() is None) == is_direct


def test_a_wrong_url_in_the_environment(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("HTTPS_PROXY", f"https://anna:{SECRET}@proxy.example:3128")
    with pytest.raises(ValueError, match=r"^proxy: https_proxy in the environment must") as caught:
        chosen()
    assert SECRET not in str(caught.value)


def test_what_a_tunnel_leads_to() -> None:
    assert authority("push.example", 443) == "push.example:443"
    assert authority("2001:db8::1", 443) == "[2001:db8::1]:443"
    assert authority("bücher.example", 8443) == "xn--bcher-kva.example:8443"
