"""Known vulnerabilities, risky code and licences: ``make audit``.

Ends with 1 if one of the checks finds something. The vulnerabilities are those that an advisory
service knows: if it cannot be reached, that is said, and the other checks decide.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

BIN = Path(sys.executable).parent

#: What the packages that we use may be licensed under, as their authors spell it. All of it permits
#: use in projects of any licence; of the weak copyleft, nothing is changed here.
LICENCES = (
    *("MIT", "MIT License", "MIT-0", "ISC License (ISCL)", "0BSD OR CC0-1.0"),
    *("BSD License", "BSD-2-Clause", "BSD-3-Clause", "3-Clause BSD License"),
    *("Apache-2.0", "Apache Software License", "Apache License 2.0"),
    *("PSF-2.0", "Python Software Foundation License", "ZPL-2.1"),
    *("MPL-2.0", "Mozilla Public License 2.0 (MPL 2.0)"),
    *("LGPL-3.0-only", "GNU Library or Lesser General Public License (LGPL)"),
    *("Apache-2.0 AND MIT", "MIT AND PSF-2.0"),
    *("Apache-2.0 OR BSD-2-Clause", "Apache-2.0 OR BSD-3-Clause", "BSD 3-Clause OR Apache-2.0"),
)
#: Tools that are run and never imported or shipped: theirs may be any.
TOOLS = ("codespell",)


def main() -> int:
    failed = [check.__name__ for check in (vulnerabilities, code, licences) if not check()]
    print(f"audit: {', '.join(failed)} failed" if failed else "audit: nothing found")
    return bool(failed)


def vulnerabilities() -> bool:
    """Return whether no installed package has a known vulnerability, as far as anybody says."""
    done = subprocess.run(
        [BIN / "pip-audit", "--progress-spinner=off", "--timeout=10", "--format=json"],
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        packages = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        packages = []
    asked = [package for package in packages if "vulns" in package]
    if not asked:
        print("pip-audit: the advisory service cannot be reached; vulnerabilities are not checked")
        return True
    found = [(package, known) for package in asked for known in package["vulns"]]
    for package, known in found:
        mended = ", ".join(known["fix_versions"]) or "no version"
        print(f"{package['name']} {package['version']}: {known['id']}, mended in {mended}")
    print(f"pip-audit: {len(asked)} packages, {len(found)} vulnerabilities")
    return not found


def code() -> bool:
    """Return whether bandit finds nothing that does not say why it is no danger."""
    return _passes(
        "bandit", "--quiet", "--configfile=pyproject.toml", "--recursive", "django_pushjobs"
    )


def licences() -> bool:
    """Return whether each installed package has a licence that is allowed."""
    return _passes(
        "pip-licenses",
        "--from=mixed",
        "--summary",
        f"--allow-only={';'.join(LICENCES)}",
        "--ignore-packages",
        *TOOLS,
    )


def _passes(program: str, *arguments: str) -> bool:
    done = subprocess.run([BIN / program, *arguments], check=False)
    print(f"{program}: {'found something' if done.returncode else 'nothing found'}")
    return not done.returncode


if __name__ == "__main__":
    sys.exit(main())
