"""Drafts of `auth`: secrets by the names of variables, never by their values."""

from collections.abc import Mapping

from flows_platform.declared import did_you_mean
from flows_platform.domain.errors import ConfigurationError

PLACEHOLDER = "https://id.example/oauth2/token"
NO_AUTH = "none"
OAUTH2 = "oauth2"


def draft_auth(kind: str, name: str, token_url: str | None = None, scope: str | None = None) -> dict[str, object]:
    """The value of `auth` for the source `name`, empty for `none`; `token_url` and `scope` are those of OAuth2.

    Raises:
        ConfigurationError: there is no such kind, or it cannot be drafted.
    """
    if kind == NO_AUTH:
        return {}
    drafts = _drafts(name.upper(), token_url or PLACEHOLDER, scope)
    if kind not in drafts:
        raise ConfigurationError(
            f"--auth is {kind!r}{did_you_mean(kind, drafts) or '.'}", remedy=f"Use {', '.join([*drafts, NO_AUTH])}."
        )
    return {"kind": kind, **drafts[kind]}


def _drafts(variable: str, token_url: str, scope: str | None) -> dict[str, dict[str, object]]:
    """The keys of each kind."""

    def secret(of: str) -> dict[str, str]:
        return {"env": f"{variable}_{of}"}

    return {
        "bearer": {"token": secret("TOKEN")},
        "header": {"name": "X-API-Key", "value": secret("KEY")},
        "query": {"name": "api_key", "value": secret("KEY")},
        "basic": {"user": secret("USER"), "password": secret("PASSWORD")},
        OAUTH2: {
            "token_url": token_url,
            "client_id": secret("CLIENT_ID"),
            "client_secret": secret("CLIENT_SECRET"),
            **({"scope": scope} if scope else {}),
        },
        "aws": {"region": "us-east-1", "service": "cloudtrail"},
    }


def chosen_kind(kind: str | None, token_url: str | None, scope: str | None) -> str | None:
    """The kind of the options; the URL of tokens or a scope alone mean OAuth2.

    Raises:
        ConfigurationError: the options contradict each other.
    """
    of_tokens = [option for option, value in (("--token-url", token_url), ("--scope", scope)) if value]
    if not of_tokens:
        return kind
    if kind not in {None, OAUTH2}:
        raise ConfigurationError(f"{of_tokens[0]} is an option of oauth2.", remedy=f"Leave out --auth {kind}.")
    return OAUTH2


def variables(value: object) -> list[str]:
    """The variables that an `auth` names, in order."""
    if not isinstance(value, Mapping):
        return []
    if isinstance(name := value.get("env"), str):
        return [name]
    return [name for inner in value.values() for name in variables(inner)]
