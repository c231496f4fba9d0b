"""A platform whose NVD is a fake server: pages, pauses, budget and clock are set by a test, arrivals are read."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal

import dagster as dg
from sqlalchemy import Engine

from flows_platform.cli.commands.instance import report_success
from flows_platform.components.catalog import table_named
from flows_platform.fetch.api import WindowedApi
from flows_platform.fetch.http.rate_limit import RateBudget
from flows_platform.fetch.paging import Offset
from flows_platform.orchestration.assets import CONFIRM
from flows_platform.orchestration.automation.requests import utc_now
from flows_platform.orchestration.partitions import range_tags
from flows_platform.orchestration.resources import build_resources
from flows_platform.orchestration.table import WindowedTable
from flows_platform.settings import Settings
from flows_platform.sources.nvd_cves.assets import FULL_LOAD, TABLES
from flows_platform.sources.nvd_cves.cve_id import key_of
from flows_platform.sources.nvd_cves.definitions import NVD_CVES, nvd_definitions
from flows_platform.sql.engines import writer
from tests.end_to_end.conftest import Platform
from tests.fakes.cve_objects import Cve
from tests.sources.nvd_cves.documents import Parts, check, instant, stored

KEY = "canary-0f3a-key"
FIGURES = ("inserted", "updated", "unchanged")
SCORED = ("cvssMetricV40", "cvssMetricV31", "cvssMetricV30", "cvssMetricV2")


@dataclass(frozen=True)
class NvdPlatform:
    """The declared source `table` on `platform`."""

    platform: Platform
    table: WindowedTable

    def run_windows(
        self, first: datetime, last: datetime | None = None, *, confirm: bool = False
    ) -> dg.ExecuteInProcessResult:
        """The days from `first` to `last` in one run; `confirm` lets them lose rows."""
        keys = [f"{day:%Y-%m-%d}-00:00" for day in (first, last or first)]
        tags = {CONFIRM: "true"} if confirm else {}
        return self.platform.run("nvd_cves_windows_job", range_tags(*keys) | tags)

    def run_full_load(self, *, everything: bool = False) -> dg.ExecuteInProcessResult:
        job = self.platform.definitions.resolve_job_def(f"{FULL_LOAD}_job")
        config = {"ops": {FULL_LOAD: {"config": {"everything": everything}}}}
        result = job.execute_in_process(instance=self.platform.instance, run_config=config, raise_on_error=False)
        report_success(result)
        return result

    def figures(self, asset: str = TABLES, day: datetime | None = None) -> dict[str, object]:
        return self.platform.metadata(asset, f"{day:%Y-%m-%d}-00:00" if day else None)

    def counts(self, asset: str = TABLES, day: datetime | None = None) -> tuple[object, ...]:
        """Inserted, updated and unchanged."""
        told = self.figures(asset, day)
        return tuple(told[name] for name in FIGURES)

    def table_rows(self) -> list[tuple[object, ...]]:
        """BigQuery's rows, the document read."""
        rows = self.platform.query(f"SELECT * FROM {NVD_CVES} ORDER BY cve_id, last_modified")
        return [(*row[:6], decimal_json(str(row[6])), row[7]) for row in rows]

    @contextmanager
    def engine(self) -> Iterator[Engine]:
        engine = writer(self.platform.settings.cves_url)
        yield engine
        engine.dispose()

    def stored(self) -> dict[int, Parts]:
        with self.engine() as engine:
            return stored(engine)

    def check_stored(self, cves: list[Cve]) -> None:
        """The SQL tables hold these and no others, field by field."""
        held = self.stored()
        assert held.keys() == {key_of(cve["id"]) for cve in cves}
        for cve in cves:
            check(held[key_of(cve["id"])], decimals(cve))


def nvd_on(
    platform: Platform,
    *,
    page_size: int = 2000,
    pause: float = 0.1,
    rate: RateBudget | None = None,
    now: Callable[[], datetime] = utc_now,
) -> NvdPlatform:
    """NVD as its YAML declares it, but with these pages, pauses, budget and clock."""
    declared = table_named(NVD_CVES, platform.settings)

    def api() -> WindowedApi:
        made = declared.api()
        assert isinstance(made.paging, Offset)
        assert made.refusals.waiting.pause == 6
        paging = made.paging.model_copy(update={"size": page_size})
        waiting = made.refusals.waiting.model_copy(update={"pause": pause})
        refusals = replace(made.refusals, waiting=waiting)
        return replace(made, paging=paging, refusals=refusals)

    table = replace(declared, api=api, rate=rate)
    definitions = dg.Definitions.merge(_resources(platform.settings), nvd_definitions(table, platform.settings, now))
    return NvdPlatform(replace(platform, definitions=definitions), table)


def _resources(settings: Settings) -> dg.Definitions:
    return dg.Definitions(resources=build_resources(settings)._asdict(), executor=dg.in_process_executor)


def decimal_json(text: str) -> object:
    return json.loads(text, parse_float=Decimal)


def decimals(cve: Cve) -> Cve:
    """Its numbers as the project's reader gives them."""
    return json.loads(json.dumps(cve), parse_float=Decimal)  # type: ignore[no-any-return]


def expected_rows(cves: list[Cve]) -> list[tuple[object, ...]]:
    """BigQuery's rows of these CVEs."""
    return [
        (
            cve["id"],
            instant(cve["lastModified"]).astimezone(UTC),
            instant(cve["published"]),
            cve["sourceIdentifier"],
            cve["vulnStatus"],
            _score(cve),
            decimals(cve),
            None,
        )
        for cve in sorted(cves, key=lambda cve: (cve["id"], cve["lastModified"]))
    ]


def _score(cve: Cve) -> float | None:
    for family in SCORED:
        metrics = cve["metrics"].get(family, [])
        for metric in sorted(metrics, key=lambda metric: metric["type"] != "Primary"):
            return float(metric["cvssData"]["baseScore"])
    return None
