"""Sets up .venv from requirements.lock with nothing but a Python: `python3 scripts/setup.py`, or `make setup`.

It runs on the machine's Python before anything is installed, hence only the standard library and no syntax that an
older Python could not at least parse far enough to be told so.
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
LOCK = ROOT / "requirements.lock"
OLDEST = (3, 11)
NO_PIP = (
    "This Python has neither ensurepip, virtualenv nor pip, so no virtual environment can be made: "
    "install one of them (on Debian and Ubuntu: the package python3-venv) and try again."
)


def main():
    if sys.version_info < OLDEST:
        found = ".".join(str(part) for part in sys.version_info[:2])
        sys.exit(
            "Pathline needs Python 3.11 or newer, this is " + found + "; choose another: make PYTHON=python3.12 ..."
        )
    packages = sum(1 for line in LOCK.read_text().splitlines() if line and not line.startswith("#"))
    if not works([PYTHON, "-m", "pip", "--version"]):
        print("Making the virtual environment .venv", flush=True)
        make_venv()
    print("Installing " + str(packages) + " packages of requirements.lock (a minute or two the first time)", flush=True)
    # the lock file is complete, so nothing has to be resolved
    install(["--no-deps", "--no-compile", "-r", str(LOCK)], packages)
    install(["--no-deps", "--editable", str(ROOT)], 0)
    # pip would do it on one processor, and take longer for it than for all the rest
    works([PYTHON, "-m", "compileall", "-q", "-j", "0", VENV / "lib"])
    (VENV / "ready").touch()
    print("The environment .venv is ready", flush=True)


def make_venv():
    """A virtual environment with pip, whichever way this Python offers."""
    ways = (
        [[sys.executable, "-m", "venv", "--clear", VENV]],
        [[sys.executable, "-m", "virtualenv", "--quiet", VENV]],
        # a system that packages pip but not ensurepip: its pip installs into the new environment
        [
            [sys.executable, "-m", "venv", "--clear", "--without-pip", VENV],
            [sys.executable, "-m", "pip", "--python", PYTHON, "install", "--quiet", "pip"],
        ],
    )
    for steps in ways:
        if all(works(step) for step in steps) and works([PYTHON, "-m", "pip", "--version"]):
            return
    sys.exit(NO_PIP)


def works(command):
    """Whether a command can be run and succeeds; what it says is dropped."""
    try:
        return subprocess.run([str(part) for part in command], capture_output=True).returncode == 0
    except OSError:
        return False


def install(arguments, total):
    """pip install, told in a line for every 20 packages; on failure its last words."""
    command = [str(PYTHON), "-m", "pip", "install", "--disable-pip-version-check", "--progress-bar", "off"]
    pip = subprocess.Popen(command + arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT)
    said, done = [], 0
    for line in pip.stdout:
        said.append(line)
        if line.startswith("Collecting"):
            done += 1
            if done % 20 == 0:
                print("  " + str(done) + " of " + str(total) + " fetched", flush=True)
    if pip.wait() != 0:
        sys.exit("".join(said[-15:]) + "The packages could not be installed (see above).")


if __name__ == "__main__":
    main()
