"""Writers at once on every engine: the newest state wins whole, and readers never see a mix."""

from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from random import Random
from threading import Event

from sqlalchemy import Engine, inspect, text

from flows_platform.sources.nvd_cves.queries import CveQueries
from flows_platform.sources.nvd_cves.store import Counts, CveStore
from flows_platform.sql import engines
from tests.sources.nvd_cves.cve_objects import cve

NUMBERS = range(1, 13)
WRITERS = 4
VERSIONS = 12


def said(queries: CveQueries, number: int) -> set[str]:
    """The versions that a CVE's rows name: a single one if the rows belong together."""
    detail = queries.one(f"CVE-2024-{number:04}")
    if detail is None:
        return set()
    children = detail.children
    return {
        str(detail.cve["description"]).removeprefix("A flaw, "),
        *(str(row["source"]) for row in (*children["cve_references"], *children["cve_weaknesses"])),
        *(str(row["criteria"]).split(":")[4].removesuffix("-other") for row in children["cve_cpe_matches"]),
    }


def write(url: str, seed: int) -> Counts:
    """Every version of every CVE, in an order of its own and in batches of one version."""
    engine = engines.writer(url)
    random, counts = Random(seed), Counts()
    store = CveStore(engine)
    store.create_tables()
    for version in random.sample(range(VERSIONS), VERSIONS):
        counts += store.upsert([cve(number, version) for number in random.sample(NUMBERS, len(NUMBERS))])
    engine.dispose()
    return counts


def watch(queries: CveQueries, done: Event) -> int:
    looked = 0
    while not done.is_set():
        for number in NUMBERS:
            assert len(said(queries, number)) <= 1
            looked += 1
    return looked


def test_the_newest_wins_and_no_reader_sees_a_mix(url: str, store: CveStore, queries: CveQueries) -> None:
    done = Event()
    with ThreadPoolExecutor(WRITERS + 1) as pool:
        reader: Future[int] = pool.submit(watch, queries, done)
        try:
            counts = list(pool.map(write, [url] * WRITERS, range(WRITERS)))
        finally:
            done.set()
        assert reader.result() > 0
    assert all(said(queries, number) == {f"v{VERSIONS - 1}"} for number in NUMBERS)
    assert sum(count.inserted for count in counts) == len(NUMBERS) == store.total()
    written = sum(count.inserted + count.updated + count.unchanged for count in counts)
    assert written == WRITERS * VERSIONS * len(NUMBERS)


def test_a_cve_is_unique_by_its_key_alone(url: str, engine: Engine, store: CveStore) -> None:
    """Else one of two writers that insert a CVE at once could fail in the second index, which ON CONFLICT ignores."""
    if url.startswith("postgresql"):
        with engine.begin() as connection:
            connection.execute(text("ALTER TABLE cves ADD CONSTRAINT cves_id_key UNIQUE (id)"))  # as earlier tables
        store.create_tables()
    assert inspect(engine).get_unique_constraints("cves") == []
    assert not any(index["unique"] for index in inspect(engine).get_indexes("cves"))


def test_tables_made_at_once(url: str) -> None:
    with ExitStack() as stack, ThreadPoolExecutor(4) as pool:
        made = [engines.writer(url) for _ in range(4)]
        for engine in made:
            stack.callback(engine.dispose)
        list(pool.map(lambda engine: CveStore(engine).create_tables(), made))
        assert CveStore(made[0]).total() == 0
