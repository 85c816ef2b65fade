"""What the servers of a measurement use of the machine: processor time and memory, from outside."""

from collections import Counter
from collections.abc import Mapping

import httpx
import psutil

#: Bytes in a megabyte.
MEGABYTE = 1_000_000
#: How long a server may take to tell its figures, seconds.
METRICS_SECONDS = 10.0


def cpu_seconds() -> float:
    """Return the processor time that this process's children, the servers, have used."""
    return sum(times.user + times.system for times in (child.cpu_times() for child in _servers()))


def memory() -> Mapping[str, float]:
    """Return the resident memory of each server, megabytes; those of one module are added up."""
    held: Counter[str] = Counter()
    for child in _servers():
        held[_name(child)] += child.memory_info().rss / MEGABYTE  # type: ignore[assignment]
    return dict(held)


async def tasks(gateway_url: str) -> int:
    """Return how many asyncio tasks the gateway at ``gateway_url`` has."""
    async with httpx.AsyncClient(timeout=METRICS_SECONDS) as http:
        text = (await http.get(f"{gateway_url}/metrics")).text
    lines = [line for line in text.splitlines() if line.startswith("voice_gateway_tasks ")]
    return round(float(lines[0].split()[1])) if lines else 0


def _servers() -> list[psutil.Process]:
    return psutil.Process().children(recursive=True)


def _name(process: psutil.Process) -> str:
    """Return the module that a server runs: the word after ``-m``."""
    try:
        line = process.cmdline()
    except psutil.Error:
        return "ended"
    return line[line.index("-m") + 1] if "-m" in line[:-1] else process.name()
