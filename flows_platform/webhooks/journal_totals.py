"""The totals of each source in the journal, which triggers count on every write, so that reading them is cheap."""

import sqlite3
from dataclasses import dataclass

# The first INSERT fills a new table. If the table is not new, its outer loop has no row, and nothing is read.
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
    """The totals of a source.

    Args:
        records: Number of records, including those that are still to be stored.
        bytes: Total size of the records, without their details.
        differing: Number of records that came with the id of an earlier, different record.
    """

    records: int = 0
    bytes: int = 0
    differing: int = 0


def totals(connection: sqlite3.Connection, source: str) -> Totals:
    """The totals of a source."""
    row = connection.execute("SELECT records, bytes, differing FROM totals WHERE source = ?", (source,)).fetchone()
    return Totals(*row) if row else Totals()
