"""SGLang's own argument parser over command lines of ours: ``python -m llm.testing.sglang_parser FOLDER``.

SGLang itself needs a GPU; its parser does not. Its wheel and what the parser imports are put into FOLDER, beside the
torch of the tests' vLLM environment. Prints how many lines it has accepted.
"""

import json
import subprocess
import sys
from pathlib import Path

from llm.engine import launch_specs
from llm.profile import SglangProfile, load_profile, profile_names
from llm.settings import LLMSettings
from llm.testing.vllm_env import python_of

#: What is unpacked, pinned: SGLang, and what it imports beyond vLLM's environment.
PACKAGES = ("sglang==0.5.23", "orjson", "triton", "ipython", "traitlets")
PARSE = """
import argparse, json, sys
from sglang.srt.server_args import ServerArgs
parser = argparse.ArgumentParser()
ServerArgs.add_cli_args(parser)
for line in sys.stdin:
    print(parser.parse_args(json.loads(line)).served_model_name)
"""
SPECULATION = (
    {"method": "ngram", "tokens": 4},
    {"method": "draft_model", "tokens": 3, "model": "org/draft"},
    {"method": "eagle", "tokens": 3, "model": "org/head"},
    {"method": "eagle3", "tokens": 3, "model": "org/head"},
)


def lines() -> list[str]:
    """Return the arguments of the shipped profiles, and of every speculative method, as JSON lists."""
    shipped = [load_profile(name) for name in profile_names()]
    profiles = [profile for profile in shipped if isinstance(profile, SglangProfile)]
    for speculation in SPECULATION:
        table = {"engine": "sglang", "model": "org/model", "quantization": "fp8", "tensor_parallel": 2}
        profiles.append(SglangProfile.model_validate({**table, "speculation": speculation}))
    return [
        json.dumps(spec.argv[3:]) for profile in profiles for spec in launch_specs(profile, LLMSettings())
    ]


def main() -> int:
    """Return the parser's exit status."""
    folder = Path(sys.argv[1])
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder)]
    subprocess.run([*install, *PACKAGES], check=True)
    ours = lines()
    done = subprocess.run(
        [python_of(), "-c", PARSE], input="\n".join(ours), env={"PYTHONPATH": str(folder)},
        stdout=subprocess.PIPE, text=True, check=False,
    )  # fmt: skip
    print(f"{len(done.stdout.split())} of {len(ours)} command lines accepted by {PACKAGES[0]}")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
