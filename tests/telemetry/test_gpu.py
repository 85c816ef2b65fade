"""GPUs as gauges, and their absence."""

from types import SimpleNamespace

import pytest
from prometheus_client import CollectorRegistry

from telemetry import gpu


class NVMLError(Exception):
    """What the library raises."""


class FakeNvml:
    """Stands in for NVIDIA's library: two GPUs, of which the second does not say what it draws."""

    NVMLError = NVMLError
    nvmlDeviceGetCount = staticmethod(lambda: 2)  # noqa: N815 - the library's names
    nvmlDeviceGetHandleByIndex = staticmethod(lambda number: number)  # noqa: N815
    nvmlDeviceGetUtilizationRates = staticmethod(lambda handle: SimpleNamespace(gpu=50 + handle))  # noqa: N815
    nvmlDeviceGetMemoryInfo = staticmethod(lambda _: SimpleNamespace(used=20, total=80))  # noqa: N815

    def __init__(self, *, driver: bool = True) -> None:
        self._driver = driver

    def nvmlInit(self) -> None:  # noqa: N802
        """Find the driver, or not."""
        if not self._driver:
            raise NVMLError("no driver")

    def nvmlDeviceGetPowerUsage(self, handle: int) -> int:  # noqa: N802
        """Return milliwatts."""
        if handle:
            raise NVMLError("not supported")
        return 350_000


def test_each_gpu_has_its_gauges() -> None:
    """By number; a question that one of them does not answer leaves the rest."""
    registry = CollectorRegistry()
    registry.register(gpu.GpuCollector(FakeNvml()))
    assert registry.get_sample_value("gpu_devices") == 2
    assert registry.get_sample_value("gpu_utilization_ratio", {"gpu": "1"}) == 0.51
    assert registry.get_sample_value("gpu_memory_used_bytes", {"gpu": "0"}) == 20
    assert registry.get_sample_value("gpu_power_watts", {"gpu": "0"}) == 350
    assert registry.get_sample_value("gpu_power_watts", {"gpu": "1"}) is None


@pytest.mark.parametrize("library", [None, FakeNvml(driver=False)])
def test_without_a_gpu_there_are_none(library: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a missing library nor a missing driver is an error: no GPU, and no other gauge."""

    def import_module(_: str) -> object:
        if library is None:
            raise ImportError
        return library

    monkeypatch.setattr(gpu.importlib, "import_module", import_module)
    registry = CollectorRegistry()
    gpu.register(registry)
    assert registry.get_sample_value("gpu_devices") == 0
    assert [family.name for family in registry.collect()] == ["gpu_devices"]
