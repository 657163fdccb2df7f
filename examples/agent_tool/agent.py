"""The agent's side: offers the tool to its model, and turns each call of the model into a work item."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from examples.agent_tool.worker import NAME, TOPIC
from examples.asking import Asker


@dataclass
class Agent:
    """Carries out tool calls remotely, so that tools run where their data and permissions are.

    Args:
        asker: enqueues.
        on_progress: told how far a call is.
    """

    asker: Asker
    on_progress: Callable[[str], object]
    transcript: list[dict[str, Any]] = field(default_factory=list)

    def call(self, arguments: dict[str, Any]) -> str:
        """Carry out one call as a model asks for it; return what the model is told.

        An error of the business and wrong arguments are told to the model in words that help it to do better; only
        what is nobody's fault is retried, by the control plane, without the model noticing.
        """
        item = self.asker.enqueue(TOPIC, NAME, arguments)
        answer = self.asker.wait(item, lambda details: self.on_progress(f"{details['pages']} of {details['of']} pages"))
        told = json.dumps(answer.output) if answer.kind == "COMPLETED" else f"{answer.code}: {answer.message}"
        self.transcript.append({"call": arguments, "is_error": answer.kind != "COMPLETED", "content": told})
        return told
