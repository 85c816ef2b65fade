"""GPUs of this machine, as Prometheus gauges: NVIDIA's management library, where it and a GPU are there.

Without either there is ``gpu_devices 0`` and nothing else. The library is optional: ``pip install offhook[gpu]``.
"""

import importlib
from collections.abc import Callable, Iterator
from typing import Any

from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

MODULE = "pynvml"
#: The gauges of each GPU.
QUESTIONS = ("gpu_utilization_ratio", "gpu_memory_used_bytes", "gpu_memory_total_bytes", "gpu_power_watts")
MILLIWATTS = 1000.0
PERCENT = 100.0


def register(registry: CollectorRegistry = REGISTRY) -> None:
    """Add this machine's GPUs to ``registry``. Call once."""
    registry.register(GpuCollector(_library()))


class GpuCollector(Collector):
    """Asks the library whenever metrics are read.

    Args:
        library: ``pynvml``, initialised; None where there is none.

    """

    def __init__(self, library: Any | None) -> None:
        self._nvml = library

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the gauges; a GPU that does not answer a question is left out of that gauge."""
        handles = self._handles()
        yield GaugeMetricFamily("gpu_devices", "GPUs of this machine that can be asked.", value=len(handles))
        if self._nvml is None or not handles:
            return
        for name, (text, ask) in _questions(self._nvml).items():
            family = GaugeMetricFamily(name, text, labels=["gpu"])
            for number, handle in enumerate(handles):
                try:
                    family.add_metric([str(number)], ask(handle))
                except self._nvml.NVMLError:
                    continue
            yield family

    def _handles(self) -> list[Any]:
        if self._nvml is None:
            return []
        try:
            count = self._nvml.nvmlDeviceGetCount()
            return [self._nvml.nvmlDeviceGetHandleByIndex(number) for number in range(count)]
        except self._nvml.NVMLError:
            return []


def _questions(nvml: Any) -> dict[str, tuple[str, Callable[[Any], float]]]:
    """Return what a GPU is asked, by the gauge's name."""
    asked: tuple[tuple[str, Callable[[Any], float]], ...] = (
        (
            "Share of time a kernel ran, 0 to 1.",
            lambda gpu: nvml.nvmlDeviceGetUtilizationRates(gpu).gpu / PERCENT,
        ),
        ("Memory in use, bytes.", lambda gpu: float(nvml.nvmlDeviceGetMemoryInfo(gpu).used)),
        ("Memory, bytes.", lambda gpu: float(nvml.nvmlDeviceGetMemoryInfo(gpu).total)),
        ("Power drawn, watts.", lambda gpu: nvml.nvmlDeviceGetPowerUsage(gpu) / MILLIWATTS),
    )
    return dict(zip(QUESTIONS, asked, strict=True))


def _library() -> Any | None:
    """Return the initialised library, or None where it or the driver is missing."""
    try:
        nvml: Any = importlib.import_module(MODULE)
    except ImportError:
        return None
    try:
        nvml.nvmlInit()
    except nvml.NVMLError:
        return None
    return nvml
