"""The peers' virtual environments: made when they are first needed, kept for the next time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from .peers import ENVIRONMENTS, OURS, TELLING

FOLDER = Path(__file__).parent / ".venvs"


def programs(environment: str) -> Path:
    """Return the folder that holds the programs of an environment."""
    if environment == OURS:
        # Not resolved: the path of the interpreter is how it knows its environment.
        return Path(sys.executable).parent
    return FOLDER / environment / "bin"


def prepare(environment: str) -> None:
    """Create an environment, unless it exists with just what is wanted in it.

    :raises subprocess.CalledProcessError: pip failed.
    """
    if environment == OURS:
        return
    wanted = "\n".join(ENVIRONMENTS[environment])
    stamp = FOLDER / environment / ".installed"
    if stamp.exists() and stamp.read_text("utf-8") == wanted:
        return
    print(f"Creating the environment {environment} ...", flush=True)
    subprocess.run([sys.executable, "-m", "venv", "--clear", FOLDER / environment], check=True)
    subprocess.run(
        [programs(environment) / "python", "-m", "pip", "install", "-qq", "--no-input",
         *ENVIRONMENTS[environment]],
        check=True,
        # Without the path to this project: pip would heed its requirements.
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        | {"PIP_DISABLE_PIP_VERSION_CHECK": "1"},
    )  # fmt: skip
    stamp.write_text(wanted, "utf-8")


def versions(environment: str) -> dict[str, str]:
    """Return package -> version of what matters in an environment."""
    listed = subprocess.run(
        [programs(environment) / "python", "-m", "pip", "list", "--format", "json",
         "--disable-pip-version-check"],
        check=True,
        capture_output=True,
    )  # fmt: skip
    found = {item["name"].lower(): item["version"] for item in json.loads(listed.stdout)}
    return {name: found[name] for name in TELLING if name in found}
