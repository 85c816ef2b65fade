"""Every vLLM line is accepted by the installed vLLM's own parser."""

import json
import subprocess

import pytest

from llm.engine import launch_specs
from llm.profile import parse_profile
from llm.settings import LLMSettings

from .commands import PROFILES

pytestmark = pytest.mark.vllm

#: Reads argument lists from standard input and parses each as the server would, speculation included.
PARSE = """
import json, sys
from vllm.entrypoints.launchers.cli_args import make_arg_parser, validate_parsed_serve_args
from vllm.utils.argparse_utils import FlexibleArgumentParser
from vllm.engine.arg_utils import AsyncEngineArgs
for line in sys.stdin:
    options = make_arg_parser(FlexibleArgumentParser()).parse_args(json.loads(line))
    validate_parsed_serve_args(options)
    AsyncEngineArgs.from_cli_args(options)
    print(options.served_model_name)
"""


def test_every_line_is_accepted(vllm_python: str) -> None:
    """All methods, both halves of a pair, adapters and tools."""
    specs = [
        spec
        for name, table in PROFILES.items()
        if table["engine"] == "vllm"
        for spec in launch_specs(parse_profile(table, shown=name), LLMSettings())
    ]
    arguments = "\n".join(json.dumps(spec.argv[3:]) for spec in specs)
    done = subprocess.run(
        [vllm_python, "-c", PARSE], input=arguments, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count("offhook") == len(specs)
