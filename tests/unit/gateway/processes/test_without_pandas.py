"""The telemetry process begins without pandas, and arrays are made all the same."""

from __future__ import annotations

import subprocess
import sys

SAID = """
import sys
from gateway.processes.without_pandas import do_without_pandas
do_without_pandas()
import pyarrow as pa
print(pa.array(["a", None], pa.string()).to_pylist(), "pandas" in sys.modules)
"""


def test_arrays_are_made_of_lists_without_it() -> None:
    told = subprocess.run([sys.executable, "-c", SAID], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "['a', None] False"
