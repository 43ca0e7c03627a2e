"""The browser demo in a real browser, under the policy that it sets itself."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.browser import Browser, Page, chromium, find_chromium
from tests.support.stack import Stack

pytestmark = pytest.mark.skipif(
    find_chromium() is None and "CI" not in os.environ,
    reason="no Chromium on this machine; CI installs one",
)

LOGIN = """
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY, get_user_model
from django.contrib.sessions.backends.db import SessionStore
user = get_user_model().objects.create_superuser("anna", password="anna")
session = SessionStore()
session[SESSION_KEY] = str(user.pk)
session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
session[HASH_SESSION_KEY] = user.get_session_auth_hash()
session.save()
print(session.session_key)
"""


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    with chromium(tmp_path) as browser:
        yield browser


@pytest.fixture
def page(stack: Stack, browser: Browser) -> Page:
    url = stack.web()
    browser.call("Browser.grantPermissions", origin=url, permissions=["notifications"])
    return browser.open(f"{url}/browser/", sessionid=stack.run(LOGIN))


def test_shows_what_a_push_brings(page: Page) -> None:
    assert page.wait_for("!document.getElementById('subscribe').disabled")
    page.wait_for("navigator.serviceWorker.controller !== null")
    policy = page.evaluate("fetch(location).then(r => r.headers.get('Content-Security-Policy'))")
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy

    [registration, *_] = page.events("ServiceWorker.workerRegistrationUpdated")[-1]["registrations"]
    message = {
        "id": "1",
        "notification": {"title": "Grüße", "body": "two\nlines", "tag": "order-17"},
    }
    page.call(
        "ServiceWorker.deliverPushMessage",
        origin=page.evaluate("location.origin"),
        registrationId=registration["registrationId"],
        data=json.dumps(message),
    )
    shown = (
        "navigator.serviceWorker.ready.then(r => r.getNotifications())"
        ".then(all => all.map(n => [n.title, n.body, n.tag]))"
    )
    # The page is told, too, once it is open.
    page.wait_for("document.querySelector('#log').innerText.includes('Grüße')")
    assert page.evaluate(shown) == [["Grüße", "two\nlines", "order-17"]]
    assert page.complaints() == []


def test_inline_code_is_refused(page: Page) -> None:
    page.evaluate(
        "(() => { const s = document.createElement('style'); s.textContent = 'body{color:red}';"
        " document.head.append(s); })()"
    )
    page.evaluate("new Promise(r => setTimeout(r))")
    assert any("Content Security Policy" in said for said in page.complaints())
