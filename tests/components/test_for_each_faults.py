"""`for_each`: what contradicts it is refused with its line and key."""

from pathlib import Path

import pytest

from tests.components.mistaken import fault_of, loaded, mistaken

GOOD = """\
type: flows_platform.components.WindowedApiTable
attributes:
  name: events
  api:
    url: https://feed.example/v1/repos/{repo}/events
    format: json
    for_each: {repo: [a/x, 7]}
    time: {after: from, before: to}
  columns:
    - {name: repo, from: repo, required: true}
    - {name: id, required: true}
    - {name: at, type: timestamp, required: true}
  time: at
  key: [repo, id]
  partitions: {cron: 0 0 * * *, start: 2024-03-01T00:00:00}
"""


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("", ""),
        ("[a/x, 7]", "{file: repos.txt}"),
        ("[a/x, 7]", "{env: REPOS}"),
        ("[a/x, 7]", "['{job=\"x\"}', '{other}']"),
        ("{repo: [a/x, 7]}", "{repo: [7, 8]}"),
    ],
)
def test_what_may_be_declared(tmp_path: Path, right: str, wrong: str) -> None:
    loaded(tmp_path, mistaken(GOOD, right, wrong))


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        (
            "{repo: [a/x, 7]}",
            "{file: repos.txt}",
            "7: api.for_each.file: the values have no name: write {NAME: {file:",
        ),
        ("{repo: [a/x, 7]}", "{env: REPOS}", "7: api.for_each.env: the values have no name: write {NAME: {env: …}}"),
        (
            "{repo: [a/x, 7]}",
            "{repo: [a], team: [b]}",
            "7: api.for_each: it has one name with its values, and",
        ),
        ("{repo: [a/x, 7]}", "{start: [a]}", "7: api.for_each.start: the name is letters, digits and _ other than end"),
        ("{repo: [a/x, 7]}", "{a-b: [a]}", "7: api.for_each.a-b: the name is letters, digits and _ other than end"),
        ("[a/x, 7]", "[]", "7: api.for_each.repo: there is no value: nothing would be pulled"),
        ("[a/x, 7]", "[a, ' ']", "7: api.for_each.repo.1: it is empty"),
        ("[a/x, 7]", "[a, b, a]", "7: api.for_each.repo.2: 'a' is there twice, and each value is a pull of its own"),
        ("[a/x, 7]", '["a\\tb"]', "7: api.for_each.repo.0: it has a control character"),
        ("[a/x, 7]", "['x{start:%Y}']", "7: api.for_each.repo.0: it has {start:%Y}, which means another value"),
        ("[a/x, 7]", "{path: x}", "7: api.for_each.repo."),
        ("/{repo}/", "/", "7: api.for_each: no request has {repo}, so that every pull would be the same: write it"),
        ("/{repo}/", "/{repo}/{Repo}/", "5: api.url: nothing replaces {Repo}; did you mean {repo}?"),
        ("/{repo}/", "/{repo}/{repos}/", "5: api.url: nothing replaces {repos}; did you mean {repo}?"),
        ("feed.example/", "{repo}.feed.example/", "5: api.url: {repo} is in the host: secrets would go wherever"),
        ("from: repo,", "from: repos,", "10: columns.0.from: it is one of window_start, window_end, fetched_at, repo"),
        (
            "from: repo,",
            "from: repo, type: bool,",
            "10: columns.0.from: a value of `for_each` is a text: declare",
        ),
        (
            "from: repo,",
            "from: repo, type: int64,",
            "10: columns.0.from: not every value of `for_each` fits: repo: 'a/x' is not an integer",
        ),
        ("key: [repo, id]", "key: repo", "14: key: all rows of a window have the same: a column of the record"),
    ],
)
def test_a_contradiction_is_refused(tmp_path: Path, right: str, wrong: str, message: str) -> None:
    text = fault_of(tmp_path, mistaken(GOOD, right, wrong))
    told = [line.removeprefix(f"{tmp_path}/defs.yaml:") for line in text.splitlines()]
    assert any(line.startswith(message) for line in told), told
