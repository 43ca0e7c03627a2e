"""django-push-notifications in a Celery worker: a task calls its own send function.

``celery -A benchmarks.providers.theirs worker --pool gevent``, for APNs ``--pool threads``;
``python -m`` this sends the tasks.
"""

from __future__ import annotations

import json
import os
import sys
from functools import partial
from pathlib import Path
from typing import Any

import django
from celery import Celery
from django.conf import settings

FOLDER = Path(os.environ["BENCHMARK_FOLDER"])
KIND = os.environ["BENCHMARK_KIND"]
TOLD: dict[str, Any] = json.loads((FOLDER / "peer.json").read_text("utf-8"))

app = Celery("benchmarks", broker=os.environ["REDIS_URL"])


def turn_apns() -> None:
    """Turn the library for APNs to the peer; Django is set up.

    The peer's authority is trusted by ``SSL_CERT_FILE`` instead of the system's. That is in their
    favour: each message makes a TLS context, and reads two certificates into it, not a hundred.
    """
    from aioapns.common import PushType
    from aioapns.connection import APNsProductionClientProtocol
    from push_notifications import apns_async

    # There is no option for another address. Without a name, no look-up is measured either.
    APNsProductionClientProtocol.APNS_SERVER = "127.0.0.1"
    APNsProductionClientProtocol.APNS_PORT = TOLD["port"]
    # The peer wants apns-push-type, which their function has no parameter for.
    apns_async.NotificationRequest = partial(
        apns_async.NotificationRequest, push_type=PushType.ALERT
    )


def set_up() -> None:
    options: dict[str, Any] = {}
    if KIND == "webpush":
        from py_vapid import Vapid02
        from py_vapid.utils import b64urlencode

        key = Vapid02()
        key.generate_keys()
        number = key.private_key.private_numbers().private_value
        options = {
            "WP_PRIVATE_KEY": b64urlencode(number.to_bytes(32, "big")),
            "WP_CLAIMS": {"sub": "mailto:push@example.org"},
            "WP_ERROR_TIMEOUT": 60,
        }
    elif KIND == "apns":
        told = TOLD["options"]
        options = {
            "APNS_AUTH_KEY_PATH": TOLD["key_file"],
            "APNS_AUTH_KEY_ID": told["key_id"],
            "APNS_TEAM_ID": told["team_id"],
            "APNS_TOPIC": told["topic"],
        }
    else:
        import firebase_admin
        from firebase_admin import credentials, messaging

        # There is no option for another address.
        messaging._MessagingService.FCM_URL = (
            f"https://127.0.0.1:{TOLD['port']}/v1/projects/{{0}}/messages:send"
        )
        firebase_admin.initialize_app(credentials.Certificate(TOLD["credentials"]))
    settings.configure(
        INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "push_notifications"],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        PUSH_NOTIFICATIONS_SETTINGS=options,
        USE_TZ=True,
    )
    django.setup()
    if KIND == "apns":
        turn_apns()


if len(sys.argv) > 1 and sys.argv[1] != "send":
    set_up()


@app.task(name="push", ignore_result=True)
def push(n: int) -> None:
    address = TOLD["addresses"][n % len(TOLD["addresses"])]
    if KIND == "webpush":
        from push_notifications.models import WebPushDevice
        from push_notifications.webpush import webpush_send_message

        info = json.loads(address)
        device = WebPushDevice(
            registration_id=info["endpoint"],
            browser="CHROME",
            auth=info["keys"]["auth"],
            p256dh=info["keys"]["p256dh"],
        )
        told = {"title": "Your order", "body": f"Number {n} is on its way.", "data": {"order": n}}
        webpush_send_message(device, json.dumps(told), ttl=3_600)
    elif KIND == "apns":
        from push_notifications.apns_async import Alert, apns_send_message

        alert = Alert(title="Your order", body=f"Number {n} is on its way.")
        apns_send_message(address, alert, extra={"order": n}, priority=10)
    else:
        from push_notifications.gcm import dict_to_fcm_message, send_message

        told = {"message": f"Number {n} is on its way.", "title": "Your order", "order": str(n)}
        send_message([address], dict_to_fcm_message(told))


if __name__ == "__main__":
    for number in range(int(sys.argv[2])):
        push.delay(number)
