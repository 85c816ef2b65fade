"""``python -m tests.voice.web URL FOLDER``: pictures of `/slo` of a running gateway, for the documentation."""

import asyncio
import sys
from pathlib import Path

from tests.voice.web.test_slo import take_screenshots

asyncio.run(take_screenshots(sys.argv[1], Path(sys.argv[2])))
