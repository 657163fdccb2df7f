"""What an expression can see when it is evaluated."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from bloge_orchestrator.expressions.values import Json, OperationError

CONTEXT_NAME = "ctx"
"""The name of the execution's input."""

OUTPUT_MEMBER = "output"
"""`node.output.field` and `node.field` are the same."""


@dataclass(frozen=True)
class EvaluationContext:
    """All that an expression can see.

    `input` is what `ctx` names, `outputs` are the outputs of finished nodes by id, `locals` the names of a transform.
    `clock`, `uuid_source` and `secrets` serve now(), uuid() and secret(); without one, its function is an error.
    """

    input: Json = None
    outputs: Mapping[str, Json] = field(default_factory=dict)
    locals: Mapping[str, Json] = field(default_factory=dict)
    clock: Callable[[], datetime] | None = None
    uuid_source: Callable[[], UUID] | None = None
    secrets: Mapping[str, str] | None = None

    def now(self) -> datetime:
        """Give the instant of the injected clock.

        Raises:
            OperationError: If there is none.

        """
        if self.clock is None:
            raise OperationError("now() is not available here")
        return self.clock()

    def new_uuid(self) -> UUID:
        """Give a UUID of the injected source.

        Raises:
            OperationError: If there is none.

        """
        if self.uuid_source is None:
            raise OperationError("uuid() is not available here")
        return self.uuid_source()

    def secret(self, name: str) -> str:
        """Give the value of a secret.

        Raises:
            OperationError: If there are no secrets, or none of this name.

        """
        if self.secrets is None:
            raise OperationError("secret() is not available here")
        if name not in self.secrets:
            raise OperationError(f"secret {name} is not defined")
        return self.secrets[name]
