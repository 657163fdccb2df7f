"""JSON, encodings, digests, random ids and secrets."""

import base64
import binascii
import hashlib
import hmac
import json

from bloge_orchestrator.expressions.functions.signature import Cost, Environment, FunctionTable, declare
from bloge_orchestrator.expressions.values import Json, OperationError, to_json

FUNCTIONS: FunctionTable = {}


@declare(FUNCTIONS, "toJson", "any", Cost.DEEP)
def _to_json(value: Json) -> str:
    return to_json(value)


@declare(FUNCTIONS, "parseJson", "text")
def _parse_json(text: str) -> Json:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise OperationError(f"parseJson: the text is not JSON: {error}") from error


@declare(FUNCTIONS, "sha256", "text")
def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@declare(FUNCTIONS, "sha512", "text")
def _sha512(text: str) -> str:
    return hashlib.sha512(text.encode()).hexdigest()


@declare(FUNCTIONS, "hmacSha256", "text text")
def _hmac_sha256(key: str, text: str) -> str:
    return hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()


@declare(FUNCTIONS, "base64Encode", "text")
def _base64_encode(text: str) -> str:
    return base64.b64encode(text.encode()).decode("ascii")


@declare(FUNCTIONS, "base64Decode", "text")
def _base64_decode(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise OperationError("base64Decode: the text is not the base64 of UTF-8 text") from error


@declare(FUNCTIONS, "uuid", "", Cost.CONSTANT, environment=True)
def _uuid(environment: Environment) -> str:
    return str(environment.new_uuid())


@declare(FUNCTIONS, "secret", "text", Cost.CONSTANT, environment=True)
def _secret(environment: Environment, name: str) -> str:
    return environment.secret(name)
