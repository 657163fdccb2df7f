"""Pictures of graphs."""

from bloge_orchestrator.rendering.mermaid import mermaid
from bloge_orchestrator.rendering.svg import svg

__all__ = ["mermaid", "svg"]
