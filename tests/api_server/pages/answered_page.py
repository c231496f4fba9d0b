"""A page as a server answered it, to be read by XPath."""

from collections.abc import Mapping
from typing import Any

from lxml import etree, html

from tests.api_server.conftest import Server


class Page:
    """A page as it was answered."""

    def __init__(self, server: Server, path: str, **headers: str) -> None:
        response, body = server.get(path, **headers)
        self.status, self.headers, self.body = response.status, response.headers, body.decode()
        self.root: Any = html.document_fromstring(self.body)

    def texts(self, path: str) -> list[str]:
        return [" ".join("".join(node.itertext()).split()) for node in self.root.xpath(path)]

    def attributes(self, name: str) -> Mapping[str, str]:
        """Those of the field of a parameter."""
        (node,) = self.root.xpath(f"//*[@id='field-{name}']")
        return dict(node.attrib)

    def text(self) -> str:
        return " ".join("".join(self.root.itertext()).split())

    def marked(self) -> list[str]:
        """Elements and attributes that only a payload could have made."""
        found = self.root.xpath(
            "//b | //script | //img | //textarea | //@onfocus | //@autofocus | //@onload | //@onerror"
        )
        return [etree.tostring(one).decode() if isinstance(one, etree._Element) else str(one) for one in found]


TAGS = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    "</title><script>1</script>",
]
BREAKS = ['"><b>x', "'><b>x", '" onfocus="alert(1)" autofocus="', "' onfocus='alert(1)", "</textarea><b>x", "--><b>x"]
LINKS = [
    "javascript:alert(1)",
    "{{ 7 * 7 }}",
    "{% raw %}",
    "&lt;b&gt;x",
    "<b>x</b>",
    "]]><b>x",
    "\u2028<b>x",
    "+ADw-b+AD4-",
]
PAYLOADS = [*TAGS, *BREAKS, *LINKS]
