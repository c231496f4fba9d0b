"""How an API writes CSV where it is not as RFC 4180 has it. Data only."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CsvDialect:
    """Delimiter and quote, and which lines are no records.

    The first `skip` lines are passed over; then, with `begin`, all lines up to the one that is it. Lines that start
    with `comment` are passed over too. `names` are the columns where no header line has them. With `end` the records
    end at the line that is it, and an answer without that line was cut.
    """

    delimiter: str = ","
    quote: str = '"'
    comment: str = ""
    skip: int = 0
    names: tuple[str, ...] = ()
    begin: str = ""
    end: str = ""


RFC_4180 = CsvDialect()
