"""Percentiles, the same everywhere: call spans, reports, pages."""

from collections.abc import Sequence

import numpy as np


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which ``share`` (0 to 1) of ``values`` lie.

    Linear interpolation between the two nearest ranks (Hyndman and Fan's type 7, numpy's default): the median
    of two values is their mean, and p95 of few values lies between the two largest.

    Raises:
        ValueError: there are no values.

    """
    if not values:
        raise ValueError("no values, so no percentile")
    return float(np.quantile(np.asarray(values, dtype=np.float64), share))
