"""How much the journal has of each source, counted while it is written: a look at it reads no record."""

import sqlite3
from dataclasses import dataclass

# The first statement fills a table that is new. Its outer loop has no row where the table is not, so that nothing is
# read then.
TOTALS = """
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS totals (
    source TEXT PRIMARY KEY,
    records INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    differing INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO totals SELECT source, count(*), sum(size), sum(differs)
    FROM (SELECT 1 WHERE NOT EXISTS (SELECT * FROM totals)) CROSS JOIN records GROUP BY source;
CREATE TRIGGER IF NOT EXISTS record_counted AFTER INSERT ON records BEGIN
    INSERT INTO totals VALUES (NEW.source, 1, NEW.size, NEW.differs) ON CONFLICT (source) DO UPDATE
    SET records = records + 1, bytes = bytes + NEW.size, differing = differing + NEW.differs;
END;
CREATE TRIGGER IF NOT EXISTS record_forgotten AFTER DELETE ON records BEGIN
    UPDATE totals SET records = records - 1, bytes = bytes - OLD.size, differing = differing - OLD.differs
    WHERE source = OLD.source;
END;
CREATE TRIGGER IF NOT EXISTS record_differs AFTER UPDATE OF differs ON records WHEN NEW.differs <> OLD.differs BEGIN
    UPDATE totals SET differing = differing + NEW.differs - OLD.differs WHERE source = OLD.source;
END;
COMMIT;
"""


@dataclass(frozen=True, slots=True)
class Totals:
    """How much there is of a source.

    Args:
        records: Records, also those that are still to be stored.
        bytes: Theirs, without those of their details.
        differing: Records that came with an id that another record has.
    """

    records: int = 0
    bytes: int = 0
    differing: int = 0


def totals(connection: sqlite3.Connection, source: str) -> Totals:
    """How much the journal has of a source."""
    row = connection.execute("SELECT records, bytes, differing FROM totals WHERE source = ?", (source,)).fetchone()
    return Totals(*row) if row else Totals()
