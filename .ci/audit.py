"""Audits the lock's packages for known vulnerabilities; a package that the tool skipped fails the audit too.

pip-audit says "no known vulnerabilities" and exits with 0 also where it could look up none of the packages.
"""

import json
import subprocess
import sys
from pathlib import Path

LOCK = Path(__file__).resolve().parents[1] / "requirements.lock"


def main() -> None:
    command = [sys.executable, "-m", "pip_audit", "--requirement", str(LOCK), "--no-deps", "--disable-pip"]
    done = subprocess.run([*command, "--format", "json", "--progress-spinner", "off"], capture_output=True, text=True)
    if not done.stdout.strip():
        sys.exit(f"the audit did not run: {done.stderr[-500:]}")
    packages = json.loads(done.stdout)["dependencies"]
    skipped = [package["name"] for package in packages if "skip_reason" in package]
    vulnerable = [f"{package['name']} {fault['id']}" for package in packages for fault in package.get("vulns", ())]
    for fault in vulnerable:
        print(f"VULNERABLE  {fault}")
    if skipped:
        print(f"SKIPPED     {len(skipped)} packages were not audited: {', '.join(skipped[:5])}, …")
    print(f"{len(packages)} packages, {len(packages) - len(skipped)} audited, {len(vulnerable)} vulnerabilities")
    sys.exit(1 if skipped or vulnerable or not packages else 0)


if __name__ == "__main__":
    main()
