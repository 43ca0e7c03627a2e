"""The attacks by name, and all of them at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping

from . import answers
from .stage import Stage
from .trial import Attack

EVERYTHING = "everything"


def attacks(seed: int, calls: int) -> Mapping[str, Attack]:
    """Return all attacks by name.

    :param seed: of the fuzz.
    :param calls: that the fuzz makes.
    """
    listed = (
        Attack("quiet", "nobody attacks: what the other client feels then", _nothing),
        Attack("evil-answers", "answers that never end, at full speed", answers.evil_answers),
        Attack("lame-answers", "that drip, never come, lead elsewhere", answers.lame_answers),
        Attack("dead-wave", "devices by the hundred that are gone", answers.dead_wave),
        Attack("silent-names", "hosts whose name servers never answer", answers.silent_names),
    )
    found = {attack.name: attack for attack in listed}
    together = [attack for attack in listed if attack.run is not _nothing]

    def everything(stage: Stage, seconds: float) -> None:
        threads = [
            threading.Thread(target=_noted, args=(attack, stage, seconds)) for attack in together
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    return found | {EVERYTHING: Attack(EVERYTHING, "all of them at once", everything)}


def _noted(attack: Attack, stage: Stage, seconds: float) -> None:
    try:
        attack.run(stage, seconds)
    except Exception as error:
        stage.ledger.fault(f"{attack.name} ended with {error!r}")


def _nothing(stage: Stage, seconds: float) -> None:
    time.sleep(seconds)
