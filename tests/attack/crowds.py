"""Many at once."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable

from .caller import Caller


def crowd(
    size: int, seconds: float, caller: Caller, act: Callable[[Caller, random.Random], None]
) -> None:
    """Let ``size`` callers act again and again for so long, each over a connection of its own.

    :raises Exception: what one of them raised.
    """
    end = time.monotonic() + seconds
    failed = list[BaseException]()

    def run(number: int) -> None:
        own, chance = caller.twin(), random.Random(number)
        try:
            while time.monotonic() < end and not failed:
                act(own, chance)
        except BaseException as error:
            failed.append(error)
        finally:
            own.close()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]
