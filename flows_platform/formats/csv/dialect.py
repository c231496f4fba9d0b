"""How an API's CSV differs from RFC 4180."""

from typing import Self

from pydantic import Field, model_validator

from flows_platform.declared import Declared, refused


class CsvDialect(Declared):
    """How the CSV differs from RFC 4180."""

    # The first `skip` lines are skipped; then, with `begin`, all lines up to the one that equals it. Lines that start
    # with `comment` are skipped too. With `end` the records end at the line that equals it.

    delimiter: str = Field(",", min_length=1, max_length=1, description="The character between two cells.")
    quote: str = Field('"', max_length=1, description="The character around a quoted cell; '' if cells have none.")
    skip_spaces: bool = Field(False, description='Whether spaces after a delimiter are not part of a cell: `1, "x"`.')
    comment: str = Field("", description="Start of lines that are not records; inside a quoted cell it is text.")
    skip: int = Field(0, ge=0, description="Number of lines to skip at the start; fewer lines are an error.")
    names: tuple[str, ...] = Field((), description="The columns' names, if there is no header line.")
    begin: str = Field("", description="The line after which the header and the records come; it must come.")
    end: str = Field("", description="The line that ends the records; an answer without it was cut.")

    @model_validator(mode="after")
    def _is_unambiguous(self) -> Self:
        if len(set(self.names)) != len(self.names):
            raise refused("a name is listed twice", ("names",))
        if self.delimiter == self.quote:
            raise refused(f"{self.quote!r} is also the delimiter", ("quote",))
        for key in ("delimiter", "quote", "comment", "begin", "end"):
            if set(getattr(self, key)) & set("\r\n"):
                raise refused("a line end separates lines: it cannot be in this text", (key,))
        if self.comment.startswith(self.delimiter) or (self.comment and self.comment == self.quote):
            raise refused(f"records may also start with {self.comment[0]!r}", ("comment",))
        return self


RFC_4180 = CsvDialect()
