"""The OpenAPI document, made of the endpoints."""

import inspect
import re
import types
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from bloge_server.http.gateway.endpoints import BASE, NAMESPACE_HEADER, Endpoint
from bloge_server.http.gateway.replies import Problem
from bloge_server.http.gateway.values import ITEM_ID_PATTERN, NAME_PATTERN

_PARAMETERS = {
    "itemId": (ITEM_ID_PATTERN, "`<worker topic>:<item id>`"),
    "workerTopic": (NAME_PATTERN, "The worker topic."),
}
_ALWAYS = (400, 404, 503)
_RETRIED = {429, 503}
"""Answers that say when to try again."""
_REFERENCE = "#/components/schemas/{model}"


def document(endpoints: Iterable[Endpoint], version: str) -> dict[str, Any]:
    """Return the document of some endpoints.

    Args:
        endpoints: what it describes.
        version: of the server.
    """
    known = list(endpoints)
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in known:
        paths.setdefault(BASE + endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "BLOGE remote workers: JSON gateway",
            "version": version,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            "description": "Remote workers, dead letters and producers over plain HTTP; gRPC has all of it and more.",
        },
        "paths": paths,
        "components": {"schemas": _schemas(known)},
    }


def _operation(endpoint: Endpoint) -> dict[str, Any]:
    description = inspect.getdoc(endpoint.handle) or ""
    operation: dict[str, Any] = {
        "operationId": f"{endpoint.tag.replace(' ', '_')}_{endpoint.handle.__name__}",
        "tags": [endpoint.tag],
        "summary": re.split(r"[.:]", description)[0],
        "description": description,
        "parameters": [*_path_parameters(endpoint), *_header_parameters(endpoint), *_query_parameters(endpoint)],
        "responses": {str(status): _response(status, model) for status, model in endpoint.replies.items()},
    }
    problems = sorted({*_ALWAYS, *endpoint.problems, *((415,) if endpoint.body else ())})
    operation["responses"] |= {str(status): _response(status, Problem) for status in problems}
    if endpoint.body is not None:
        content = {"application/json": {"schema": _reference(endpoint.body)}}
        operation["requestBody"] = {"required": endpoint.body_required, "content": content}
    return operation


def _response(status: int, model: Any) -> dict[str, Any]:  # noqa: ANN401 - a model, a list of one, or none
    response: dict[str, Any] = {"description": HTTPStatus(status).phrase}
    if model is not None:
        response["content"] = {"application/json": {"schema": _reference(model)}}
    if status in _RETRIED:
        seconds = {"type": "string", "pattern": r"^\d+$"}
        response["headers"] = {"Retry-After": {"description": "Seconds to wait first.", "schema": seconds}}
    return response


def _reference(model: Any) -> dict[str, Any]:  # noqa: ANN401 - a model or a list of one
    if isinstance(model, types.GenericAlias):
        return {"type": "array", "items": _reference(get_args(model)[0])}
    return {"$ref": _REFERENCE.format(model=model.__name__)}


def _path_parameters(endpoint: Endpoint) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "description": _PARAMETERS[name][1],
            "schema": {"type": "string", "pattern": _PARAMETERS[name][0]},
        }
        for name in re.findall(r"\{(\w+)\}", endpoint.path)
    ]


def _header_parameters(endpoint: Endpoint) -> list[dict[str, Any]]:
    namespace = {
        "name": NAMESPACE_HEADER,
        "in": "header",
        "description": "The namespace; `default` without it.",
        "schema": {"type": "string", "pattern": NAME_PATTERN},
    }
    others = [
        {"name": name, "in": "header", "description": text, "schema": {"type": "string"}}
        for name, text in endpoint.headers.items()
    ]
    return [namespace, *others]


def _query_parameters(endpoint: Endpoint) -> list[dict[str, Any]]:
    if endpoint.query is None:
        return []
    properties = endpoint.query.model_json_schema(by_alias=True)["properties"]
    return [
        {
            "name": name,
            "in": "query",
            "description": schema.pop("description", ""),
            "schema": {key: value for key, value in schema.items() if key != "title"},
        }
        for name, schema in properties.items()
    ]


def _schemas(endpoints: Iterable[Endpoint]) -> dict[str, Any]:
    modes: dict[type[BaseModel], JsonSchemaMode] = {Problem: "serialization"}
    for endpoint in endpoints:
        if endpoint.body is not None:
            modes[endpoint.body] = "validation"
        for reply in endpoint.replies.values():
            if reply is not None:
                modes[get_args(reply)[0] if isinstance(reply, types.GenericAlias) else reply] = "serialization"
    _, schemas = models_json_schema(list(modes.items()), by_alias=True, ref_template=_REFERENCE)
    found: dict[str, Any] = schemas["$defs"]
    return dict(sorted(found.items()))
