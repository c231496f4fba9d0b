"""Renders a change as a message and posts it, in a form that Slack accepts."""

import json
from contextlib import closing

import urllib3

from flows_platform.domain.errors import SourceUnavailable
from flows_platform.fetch.http.connections import Pools
from flows_platform.fetch.http.proxies import Proxies
from flows_platform.orchestration.notifications.problems import Change, Kind

CONNECT, READ = 5.0, 10.0  # seconds
SHOWN = 20  # windows or assets in a message, at most
LONGEST = 2000  # characters of an error, at most
NAMED = 3  # windows or assets in a message's text, at most

TITLES = {Kind.RUN: "Run failed", Kind.CHECK: "Check failed", Kind.FRESHNESS: "Stale", Kind.SOURCE: "Source not loaded"}

type Message = dict[str, object]


def message_of(change: Change) -> Message:
    """The payload: `text` for people, and the same as separate fields; docs/operations.md describes them."""
    problem, story = change.problem, change.problem.story
    named = [member for member in problem.members if member]
    return {
        "text": _text(change, named),
        "event": "healed" if change.healed else "opened",
        "kind": problem.kind.value,
        "problem": problem.subject,
        "members": named[:SHOWN],
        "count": len(named),
        "error": story.error[:LONGEST],
        "remedy": story.remedy,
        "link": story.link,
        "since": story.at,
        "at": change.at,
        "job": story.job,
        "run_id": story.run_id,
    }


def _text(change: Change, named: list[str]) -> str:
    problem, story = change.problem, change.problem.story
    more = f" and {len(named) - NAMED} more" if len(named) > NAMED else ""
    of = f" ({', '.join(named[:NAMED])}{more})" if named else ""
    if change.healed:
        return _escaped(f"Healed: {problem.subject}, not well since {story.at}.") + f"\n{story.link}"
    lines = [f"{TITLES[problem.kind]}: {problem.subject}{of}", story.error[:LONGEST], f"What to do: {story.remedy}"]
    return _escaped("\n".join(lines)) + f"\n{story.link}"


def _escaped(text: str) -> str:
    """The text without what Slack would read as a link or a mention."""
    # guard: an error is not a mention
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def post(url: str, message: Message) -> None:
    """Send `message` as JSON.

    Raises:
        SourceUnavailable: the message was not accepted. The error does not name the URL, which is a secret.
        ConfigurationError: a variable of the environment does not hold the URL of a proxy.
    """
    try:
        body, headers = json.dumps(message).encode(), {"Content-Type": "application/json"}
        with closing(Pools(connect=CONNECT, read=READ)) as pools:
            pool = pools.through(Proxies.of_environment().proxy_for(url))
            answer = pool.request("POST", url, body=body, headers=headers, retries=urllib3.Retry(2, redirect=0))
    except urllib3.exceptions.HTTPError as error:
        raise SourceUnavailable(f"the notification URL gives no answer ({type(error).__name__}).") from None
    if not 200 <= answer.status < 300:  # noqa: PLR2004 - success
        raise SourceUnavailable(
            f"the notification URL answered {answer.status}.", remedy="Check FLOWS_NOTIFICATION_URL."
        )
