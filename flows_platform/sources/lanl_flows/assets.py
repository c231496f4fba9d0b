"""The assets before the windows: raw file, clean file, database, rejected lines, API.

The modules that do the work are imported when an asset runs: numpy, pyarrow and ADBC (which brings pandas) would add
0.5 s to loading the definitions.
"""

import dagster as dg
from pydantic import Field

from flows_platform.flow_database.replacement import ReplacementRules
from flows_platform.runtime.progress_log import log_progress
from flows_platform.settings import Settings
from flows_platform.sources.lanl_flows import metadata
from flows_platform.sources.lanl_flows.schema import FLOWS

GROUP = "lanl_flows"
OWNER = "team:security-data"
BALANCE = "read_is_kept_plus_rejected"


class ReplacementConfig(dg.Config):
    """What a run may replace."""

    allow_shrink: bool = Field(
        default=False, description="Replace the old files even if the new ones have far fewer or mostly rejected lines."
    )


def _rules(settings: Settings, config: ReplacementConfig) -> ReplacementRules:
    return ReplacementRules(settings.max_raw_rejected_share, settings.max_raw_shrink, config.allow_shrink)


def _balance(asset: str, description: str) -> dg.AssetCheckSpec:
    return dg.AssetCheckSpec(BALANCE, asset=asset, description=description)


def raw_flows(settings: Settings) -> dg.AssetsDefinition:
    """LANL's raw file, configured or generated."""

    @dg.asset(
        name="raw_flows", kinds={"python", "file"}, metadata=metadata.RAW_COLUMNS, group_name=GROUP, owners=[OWNER]
    )
    def asset(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        """LANL's `flows.txt`: nine comma-separated fields per line, no header. Generated if no file is configured."""
        from flows_platform.sources.lanl_flows.raw import raw_file  # noqa: PLC0415 - see above

        raw = raw_file(settings, log_progress(context.log.info, "rows"))
        return dg.MaterializeResult(metadata=metadata.raw(raw), data_version=dg.DataVersion(raw.sha256))

    return asset


def clean_flows(settings: Settings) -> dg.AssetsDefinition:
    """The lines with nine fields, numbered."""
    files = settings.files
    check = _balance("clean_flows", "Lines read = lines kept + lines rejected.")

    @dg.asset(
        name="clean_flows",
        deps=["raw_flows"],
        kinds={"python", "csv"},
        metadata=metadata.CLEAN_COLUMNS,
        check_specs=[check],
        group_name=GROUP,
        owners=[OWNER],
    )
    def asset(context: dg.AssetExecutionContext, config: ReplacementConfig) -> dg.MaterializeResult:
        """Every line with exactly nine fields, in order, after its row number; its own bytes are unchanged."""
        from flows_platform.sources.lanl_flows.cleaning import clean  # noqa: PLC0415 - see above

        raw = settings.raw_file or files.sample
        progress = log_progress(context.log.info, "bytes")
        result = clean(raw, files.clean, files.rejects, rules=_rules(settings, config), progress=progress)
        balanced = dg.AssetCheckResult(check_name=BALANCE, passed=result.read == result.kept + result.rejected)
        return dg.MaterializeResult(metadata=metadata.clean(result, files.clean), check_results=[balanced])

    return asset


def flows_database(settings: Settings) -> dg.AssetsDefinition:
    """The sqlite database that the API serves."""
    files = settings.files
    check = _balance("flows_database", "Lines of the clean file = rows in the table + rows rejected by the load.")

    @dg.asset(
        name="flows_database",
        deps=["clean_flows"],
        kinds={"python", "sqlite"},
        metadata=metadata.DATABASE_COLUMNS,
        check_specs=[check],
        group_name=GROUP,
        owners=[OWNER],
    )
    def asset(context: dg.AssetExecutionContext, config: ReplacementConfig) -> dg.MaterializeResult:
        """The table `flows` with an index on time, built beside the old file and renamed over it."""
        from flows_platform.flow_database.load import load  # noqa: PLC0415 - see above
        from flows_platform.flow_database.read import database_summary  # noqa: PLC0415 - see above

        progress = log_progress(context.log.info, "bytes")
        result = load(files.clean, files.database, FLOWS, rules=_rules(settings, config), progress=progress)
        held = database_summary(files.database, FLOWS)
        balanced = dg.AssetCheckResult(check_name=BALANCE, passed=result.read == held.rows + held.rejected)
        return dg.MaterializeResult(metadata=metadata.database(result, files.database), check_results=[balanced])

    return asset


def rejected_flows(settings: Settings) -> dg.AssetsDefinition:
    """The lines that did not become rows."""
    files = settings.files
    check = _balance("rejected_flows", "Lines of the raw file = rows in the database + lines in this file.")

    @dg.asset(
        name="rejected_flows",
        deps=["clean_flows", "flows_database"],
        kinds={"python", "csv"},
        metadata=metadata.REJECTED_COLUMNS,
        check_specs=[check],
        group_name=GROUP,
        owners=[OWNER],
    )
    def asset(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        """Every raw line that is not in the database: the stage that rejected it, its number, the reason, its text."""
        from flows_platform.flow_database.read import database_summary  # noqa: PLC0415 - see above
        from flows_platform.sources.lanl_flows.rejected import collect_rejected  # noqa: PLC0415 - see above

        counts = collect_rejected(files.rejects, files.database, files.rejected)
        read = metadata.lines_read(context.instance)
        rows = database_summary(files.database, FLOWS).rows
        balanced = dg.AssetCheckResult(check_name=BALANCE, passed=read == rows + counts.total)
        return dg.MaterializeResult(metadata=metadata.rejected(counts, files.rejected), check_results=[balanced])

    return asset


def flows_api(settings: Settings) -> dg.AssetSpec:
    """The API between the database and the windows. It is a separate process that Dagster does not start."""
    return dg.AssetSpec(
        "flows_api",
        deps=["flows_database"],
        description=f"The streaming API over the database, in a process of its own. Windows are fetched from "
        f"`{settings.stream_url}`.",
        kinds={"starlette", "http"},
        metadata={**metadata.API_COLUMNS, **metadata.api_links(settings)},
        group_name=GROUP,
        owners=[OWNER],
    )
