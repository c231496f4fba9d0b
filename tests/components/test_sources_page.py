"""docs/sources.md: its YAML is a valid source, and its mistake gets the message that the page shows."""

from pathlib import Path

import pytest

from flows_platform.components.loader import load_declaration
from flows_platform.domain.errors import ConfigurationError
from flows_platform.settings import Settings
from tests.components.feed_yaml import DOCUMENT, other_form, whole_form


def test_the_mistake_in_the_document_gets_the_message_that_it_shows(tmp_path: Path) -> None:
    path = tmp_path / "defs.yaml"
    path.write_text(whole_form().replace("kind: link_header", "kind: links"))
    with pytest.raises(ConfigurationError) as caught:
        load_declaration(path, Settings())
    assert str(caught.value).replace(str(path), "defs/sightings/defs.yaml") in DOCUMENT.read_text()


def test_both_forms_are_declarations(tmp_path: Path) -> None:
    for number, text in enumerate((whole_form(), other_form())):
        path = tmp_path / f"{number}.yaml"
        path.write_text(text)
        assert load_declaration(path, Settings()).name == "sightings"
