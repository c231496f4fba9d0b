"""How an API writes CSV where it is not as RFC 4180 has it."""

from typing import Self

from pydantic import Field, model_validator

from flows_platform.declared import Declared, refused


class CsvDialect(Declared):
    """CSV where it is not as RFC 4180 has it."""

    # The first `skip` lines are skipped; then, with `begin`, all lines up to the one that equals it. Lines that start
    # with `comment` are skipped too. With `end` the records end at the line that equals it.

    delimiter: str = Field(",", min_length=1, max_length=1, description="What stands between two cells.")
    quote: str = Field('"', min_length=1, max_length=1, description="What encloses a cell.")
    comment: str = Field("", description="What a line that is no record starts with.")
    skip: int = Field(0, ge=0, description="Lines to pass over, from the first on.")
    names: tuple[str, ...] = Field((), description="The columns' names, where no header line has them.")
    begin: str = Field("", description="The line after which header and records stand.")
    end: str = Field("", description="The line that ends them; an answer without it was cut.")

    @model_validator(mode="after")
    def _is_unambiguous(self) -> Self:
        if len(set(self.names)) != len(self.names):
            raise refused("a name is there twice", ("names",))
        if self.delimiter == self.quote:
            raise refused(f"{self.quote!r} is the delimiter too", ("quote",))
        return self


RFC_4180 = CsvDialect()
