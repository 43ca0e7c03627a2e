"""The other client: submits at a steady pace, over a new connection each time, whatever happens.

``python -m tests.attack.neighbour ADDRESS SECRET RATE`` is a process of its own, so that what it
measures is the server's doing. For each submission it prints a line of JSON: when it was sent (Unix
time), the status of the answer (0 if there was none), and the seconds that it took.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from http.client import HTTPConnection, HTTPException

from .caller import PUSH_REQUESTS, TIMEOUT
from .ledger import CANARY


def submit(address: str, secret: str, number: int, lock: threading.Lock) -> None:
    body = {
        "recipients": [f"{CANARY}-{number}"],
        "title": "Hello",
        "backend": "gateway",
        "reference": f"{CANARY}-{number}",
    }
    headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"}
    sent, began, status = time.time(), time.monotonic(), 0
    connection = HTTPConnection(address, timeout=TIMEOUT)
    try:
        connection.request("POST", PUSH_REQUESTS, json.dumps(body), headers)
        response = connection.getresponse()
        response.read()
        status = response.status
    except (OSError, HTTPException):
        pass
    finally:
        connection.close()
    took = time.monotonic() - began
    with lock:
        print(json.dumps([sent, status, took]), flush=True)


def main(address: str, secret: str, rate: str) -> None:
    lock, began, number = threading.Lock(), time.monotonic(), 0
    while True:
        time.sleep(max(0.0, began + number / float(rate) - time.monotonic()))
        threading.Thread(target=submit, args=(address, secret, number, lock), daemon=True).start()
        number += 1


if __name__ == "__main__":
    main(*sys.argv[1:])
