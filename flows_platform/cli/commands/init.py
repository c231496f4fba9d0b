"""`flows init`: the files of a project that has sources of its own and this package as its dependency."""

from importlib.metadata import version
from pathlib import Path

from flows_platform.cli.commands.terminal import say
from flows_platform.components.scaffold import table_name
from flows_platform.domain.errors import ConfigurationError

PYPROJECT = """\
[project]
name = "{name}"
version = "0.1.0"
requires-python = ">=3.13,<3.14"
dependencies = ["flows-platform[emulator]>={version}"] # without [emulator]: real BigQuery alone

[tool.flows_platform]
sources = ["sources"] # folders, files, or shipped names such as "nvd_cves"

[tool.setuptools]
packages = []
"""
WORKSPACE = """\
# What `dagster dev` loads in this folder; `flows dev` does without it.
load_from:
  - python_module:
      module_name: flows_platform.definitions
      location_name: {name}
"""
ENVIRONMENT = """\
# Copy to .env, which stays out of version control, and load it: set -a; . ./.env; set +a
# `flows doctor` finds settings that are misspelt.
FLOWS_HOME=.flows
# Without a project the local emulator is the warehouse.
# FLOWS_BIGQUERY_PROJECT=
# FLOWS_BIGQUERY_DATASET={name}
# The secrets that the files in sources/ name as {env: …}.
# API_TOKEN=
"""
README = """\
# {name}

Tables in BigQuery, filled window by window from HTTP APIs. Each file in `sources/` declares one.

```
python3.13 -m venv .venv && . .venv/bin/activate
pip install 'flows-platform[emulator]'
cp .env.example .env    # then write the secrets into it
set -a; . ./.env; set +a
```

| To | Run |
|---|---|
| write a source from an answer of the API | `flows source new TABLE --sample answer.json --url https://…` |
| check all files | `flows source check` |
| fetch one window and see what comes of it | `flows source try TABLE --window 2024-03-01-00:00` |
| see whether secrets, hosts and warehouse work | `flows doctor` |
| run Dagster and the local warehouse | `flows dev` |

`FLOWS_SOURCES`, or `sources` in `pyproject.toml`, says where sources are.
"""
IGNORED = """\
.env
.flows/
.venv/
"""
FILES = {
    "pyproject.toml": PYPROJECT,
    "workspace.yaml": WORKSPACE,
    ".env.example": ENVIRONMENT,
    "README.md": README,
    ".gitignore": IGNORED,
    "sources/.gitkeep": "",
}


def run_init(folder: Path) -> None:
    """Write the files of a project into `folder`, and say what comes next.

    Raises:
        ConfigurationError: one of them exists; nothing is written.
    """
    if present := [name for name in FILES if (folder / name).exists()]:
        raise ConfigurationError(
            f"{folder} has {', '.join(present)} already; nothing was written.", remedy="Choose another folder."
        )
    name = table_name(folder.absolute().name)
    for file, text in FILES.items():
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace("{name}", name).replace("{version}", version("flows-platform")))
    say(f"{folder}: {', '.join(FILES)}.")
    say(f"Next: cd {folder}; flows source new TABLE --sample answer.json --url https://…")
