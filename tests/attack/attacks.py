"""The attacks by name, and all of them at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from . import answers, fuzz, lingering, storms, tenants
from .stage import Stage
from .trial import Attack

EVERYTHING = "everything"
#: What part of the fuzz's calls is made again while everything happens at once.
SHARE = 10


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
        Attack("streams", "event streams by the thousand, and HEADs", lingering.streams),
        Attack("waiting", "calls that wait, by the thousand", lingering.waiting),
        Attack(
            "slow-bodies", "calls that come byte by byte, by the thousand", lingering.slow_bodies
        ),
        Attack("large-batches", "the largest batches in a row", storms.large_batches),
        Attack("repeats", "the same Idempotency-Keys from many sides", storms.repeats),
        Attack("cancel-retry", "cancel, retry and look, all at once", storms.changes_of_mind),
        Attack("endpoints", "register, change, replay and delete endpoints", storms.endpoints),
        Attack("strangers", "ask for what is another client's", tenants.strangers),
        Attack("fuzz", f"{calls:,} calls drawn by chance", partial(_fuzz, seed, calls)),
        Attack("devices", "register and delete the same devices", storms.devices),
    )
    found = {attack.name: attack for attack in listed}
    few = replace(found["fuzz"], run=partial(_fuzz, seed + 1, calls // SHARE))
    together = [few, *(a for a in listed if a.name not in ("fuzz", "quiet"))]

    def everything(stage: Stage, seconds: float) -> None:
        threads = [
            threading.Thread(target=_noted, args=(attack, stage, seconds)) for attack in together
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    return found | {EVERYTHING: Attack(EVERYTHING, "all of them at once", everything)}


def _fuzz(seed: int, calls: int, stage: Stage, seconds: float) -> None:
    fuzz.fuzz(stage, seed, calls)


def _noted(attack: Attack, stage: Stage, seconds: float) -> None:
    try:
        attack.run(stage, seconds)
    except Exception as error:
        stage.ledger.fault(f"{attack.name} ended with {error!r}")


def _nothing(stage: Stage, seconds: float) -> None:
    time.sleep(seconds)
