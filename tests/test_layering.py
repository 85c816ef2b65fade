"""The packages import one way."""

import ast
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent
#: What each package may import of the others.
ALLOWED = {
    "telemetry": set(),
    "serving": {"telemetry"},
    "modelstore": {"telemetry"},
    "asr": {"serving", "modelstore", "telemetry"},
    "llm": {"serving", "modelstore", "telemetry"},
    "tts": {"serving", "modelstore", "telemetry"},
    "orchestration": {"asr", "llm", "tts", "serving", "modelstore", "telemetry"},
    "voice": {"orchestration", "asr", "llm", "tts", "serving", "modelstore", "telemetry"},
}


@pytest.mark.parametrize("package", ALLOWED)
def test_imports_point_one_way(package: str) -> None:
    """No package imports one that stands above or beside it."""
    wrong = []
    for path in (REPOSITORY / package).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            for name in names:
                top = name.split(".")[0]
                if top in ALLOWED and top != package and top not in ALLOWED[package]:
                    wrong.append(f"{path.relative_to(REPOSITORY)} imports {name}")
    assert not wrong
