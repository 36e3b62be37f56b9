"""The route for how memory does."""

from __future__ import annotations

from fastapi import APIRouter, Request

from telemetry.api.asking import Asked, Scoped, Strict
from telemetry.api.errors import ERRORS
from telemetry.api.ranges import Week
from telemetry.memory_figures import MemorySteps

router = APIRouter(responses=ERRORS, dependencies=[Strict])


@router.get("/api/steps/memory", tags=["steps"])
def memory_steps(request: Request, who: Scoped, ask: Asked, within: Week) -> MemorySteps:
    """Tell how memory does in each step: retrieval, synthesis, extraction, orchestration; the last seven days' unless asked otherwise."""
    return ask.memory_steps(who, within, request.app.state.reading)
