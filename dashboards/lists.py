"""What the head of every page leads to."""

from __future__ import annotations

LISTS = {
    "/": "Events",
    "/calls": "Calls",
    "/costs": "Costs",
    "/users": "Users",
    "/threads": "Threads",
    "/errors": "Errors",
    "/steps": "Steps",
}
