"""The questions of the query API: parameters in, answers out.

Fixed SQL is in `queries/`; what depends on filters and groupings is put together here, from texts of our own.
"""

from telemetry.questions.events import EventFilters, EventQuestions
from telemetry.questions.exports import ExportQuestions
from telemetry.questions.memory import MemoryQuestions
from telemetry.questions.scope import Range, Scope
from telemetry.questions.search import SearchQuestions
from telemetry.questions.speed import SpeedQuestions
from telemetry.questions.texts import load
from telemetry.questions.users import UserQuestions

__all__ = ["EventFilters", "Questions", "Range", "Scope", "load"]


class Questions(
    EventQuestions, SearchQuestions, UserQuestions, ExportQuestions, SpeedQuestions, MemoryQuestions
):
    """Asks one store whatever can be asked."""
