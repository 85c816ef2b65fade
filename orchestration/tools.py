"""The ``[[tools]]`` of an agent's definition: what the agent can do besides talking."""

import re
from string import Formatter
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError
from pydantic import Field, StringConstraints, field_validator, model_validator

from llm.tools import ToolLimits
from orchestration.part import Part

Builtin = Literal["hang_up", "transfer", "send_keys"]
#: ``${NAME}`` in a header's value stands for an environment variable.
VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
#: Headers whose values are secrets, or parts of them: written out in a file they would be read by too many.
_SECRET = re.compile(r"authorization|cookie|key|token|secret|password", re.IGNORECASE)
#: What the model is told of a built-in tool that has no description of its own.
DESCRIPTIONS: dict[Builtin, str] = {
    "hang_up": "End the call, once the caller has said goodbye.",
    "transfer": "Connect the caller to somebody else.",
    "send_keys": "Press keys of the telephone, to answer a machine that asks for them.",
}


class HttpCall(Part):
    """A tool that is an HTTP endpoint.

    Arguments named in the URL as ``{name}`` go there; the others are the query of GET and DELETE, or the JSON body.
    """

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "POST"
    url: Annotated[str, StringConstraints(pattern=r"^https?://[^/\s]+")]
    headers: dict[str, str] = Field(
        {}, description="Headers; `${NAME}` in a value is the environment variable NAME."
    )

    @property
    def placeholders(self) -> frozenset[str]:
        """Names of the arguments that are part of the URL."""
        return frozenset(name for _, name, _, _ in Formatter().parse(self.url) if name)

    @property
    def variables(self) -> frozenset[str]:
        """Names of the environment variables that the headers need."""
        return frozenset(name for value in self.headers.values() for name in VARIABLE.findall(value))

    @field_validator("headers")
    @classmethod
    def _secrets_stay_out(cls, headers: dict[str, str]) -> dict[str, str]:
        for name, value in headers.items():
            if _SECRET.search(name) and not VARIABLE.search(value):
                raise ValueError(f"{name} is a secret: write it as ${{VARIABLE}} and set that variable")
        return headers

    @model_validator(mode="after")
    def _host_is_fixed(self) -> Self:
        if "{" in urlsplit(self.url).netloc:
            raise ValueError("url: the host is yours to choose, not the model's; no {…} in it")
        return self


class ToolDefinition(Part):
    """One tool: what the model is told of it, one of ``http``, ``python`` and ``builtin``, and its bounds."""

    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,63}$")]
    description: str = Field("", max_length=1000, description="When to call it, for the model.")
    parameters: dict[str, Any] = Field(
        {"type": "object", "properties": {}}, description="JSON schema of the arguments."
    )
    http: HttpCall | None = None
    python: Annotated[str, StringConstraints(pattern=r"^([\w.]+:[\w.]+)?$")] = Field(
        "", description="`module:function`, called with the arguments by name; may be async."
    )
    builtin: Builtin | None = None
    destinations: dict[str, str] = Field(
        {}, description="For transfer: telephone numbers by the names the model chooses from."
    )
    say: str = Field("", max_length=300, description="For hang_up and transfer: said first.")
    read_only: bool = Field(
        False, description="It changes nothing, so that an answer begun early may run it too."
    )
    seconds: float = Field(10.0, gt=0, le=60, description="It is given up after this long.")
    result_bytes: int = Field(16_384, ge=64, description="Larger results are refused; bytes of JSON.")
    filler: str = Field("", max_length=200, description="Said while it is slow; empty for nothing.")
    filler_seconds: float = Field(0.7, ge=0, le=60, description="How slow it is before the filler.")

    @property
    def limits(self) -> ToolLimits:
        """Its bounds."""
        return ToolLimits(self.seconds, self.result_bytes, self.filler, self.filler_seconds)

    @property
    def told(self) -> str:
        """What the model is told it is for."""
        return self.description or (DESCRIPTIONS[self.builtin] if self.builtin else "")

    @property
    def schema_of_arguments(self) -> dict[str, Any]:
        """JSON schema of its arguments; a built-in tool's is its own."""
        match self.builtin:
            case "transfer":
                names = {"type": "string", "enum": sorted(self.destinations)}
                return _object(destination=names)
            case "send_keys":
                return _object(keys={"type": "string", "pattern": "^[0-9*#]{1,32}$"})
            case "hang_up":
                return _object()
        return self.parameters

    @field_validator("parameters")
    @classmethod
    def _is_a_schema(cls, parameters: dict[str, Any]) -> dict[str, Any]:
        try:
            Draft202012Validator.check_schema(parameters)
        except SchemaError as error:
            raise ValueError(f"not a JSON schema: {error.message}") from None
        if parameters.get("type") != "object" or not isinstance(parameters.get("properties"), dict):
            raise ValueError('must be an object\'s schema: type = "object" and properties')
        if unknown := set(parameters) - {"type", "properties", "required"}:
            raise ValueError(
                f"{', '.join(sorted(unknown))}: only type, properties and required are passed on"
            )
        return parameters

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        kinds = [name for name in ("http", "python", "builtin") if getattr(self, name)]
        if len(kinds) != 1:
            raise ValueError(f"{self.name}: needs exactly one of http, python and builtin")
        if self.builtin:
            self._check_builtin(self.builtin)
        elif not self.description:
            raise ValueError(f"{self.name}: needs a description, by which the model knows when to call it")
        if self.http and (missing := self.http.placeholders - set(self._required())):
            raise ValueError(f"{self.name}: {{{min(missing)}}} in the url must be a required parameter")
        if (self.destinations and self.builtin != "transfer") or (
            self.say and self.builtin in (None, "send_keys")
        ):
            raise ValueError(f"{self.name}: destinations belong to transfer, say to hang_up and transfer")
        return self

    def _check_builtin(self, builtin: Builtin) -> None:
        if "parameters" in self.model_fields_set:
            raise ValueError(f"{self.name}: {builtin} knows its own parameters; leave them out")
        if self.read_only:
            raise ValueError(f"{self.name}: {builtin} is not read_only")
        if builtin == "transfer" and not self.destinations:
            raise ValueError(f"{self.name}: transfer needs destinations, telephone numbers by name")

    def _required(self) -> list[str]:
        return list(self.parameters.get("required", []))


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}
