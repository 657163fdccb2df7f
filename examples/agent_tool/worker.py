"""The worker with the tool: `bloge-worker examples.agent_tool.worker:worker`."""

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from bloge_worker import BusinessError, WorkContext, Worker

TOPIC, NAME = "agent-tools", "search_docs"
DOCS = Path(__file__).parents[2] / "docs"

worker = Worker(slots=32)


class Query(BaseModel):
    """What the agent must say. The schema that it is shown is made from this class."""

    model_config = ConfigDict(extra="forbid")

    words: list[str] = Field(min_length=1, description="words that must all be in the paragraph, whatever their case")
    limit: int = Field(default=3, ge=1, le=20, description="the most paragraphs to return")


TOOL: dict[str, Any] = {
    "name": NAME,
    "description": "Searches the documentation of the remote-worker control plane for paragraphs with certain words.",
    "input_schema": Query.model_json_schema(),
}
"""How the tool is described to the agent's model."""


@worker.handler(TOPIC, operator=NAME)
def search_docs(query: Query, ctx: WorkContext) -> list[dict[str, str]]:
    """Return the paragraphs that hold all words. Nothing found is an answer the agent can act on, not a failure."""
    pages = sorted(DOCS.rglob("*.md"))
    found: list[dict[str, str]] = []
    for number, page in enumerate(pages, start=1):
        ctx.raise_if_cancelled()
        paragraphs = page.read_text(encoding="utf-8").split("\n\n")
        hits = [each for each in paragraphs if all(word.lower() in each.lower() for word in query.words)]
        found += [{"page": str(page.relative_to(DOCS)), "text": each.strip()} for each in hits]
        ctx.progress({"pages": number, "of": len(pages), "found": len(found)})
    if not found:
        raise BusinessError("NOTHING_FOUND", f"no paragraph has all of: {', '.join(query.words)}; try fewer words")
    return found[: query.limit]
