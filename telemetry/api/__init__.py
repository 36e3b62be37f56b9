"""The query API: what the ledger knows, over HTTP.

Served on a private socket behind the workers, which say in `x-tidegate-principal` who is asking;
without that header nobody is answered.
"""

from telemetry.api.application import add_routes, build
from telemetry.api.asking import open_questions, scope
from telemetry.api.errors import error_answer, refusal_of

__all__ = ["add_routes", "build", "error_answer", "open_questions", "refusal_of", "scope"]
