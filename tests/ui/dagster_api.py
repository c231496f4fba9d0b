"""What Dagster's pages are made of, asked of its webserver: partitions, backfills, checks and series.

And the mutation that *Launch backfill* sends. What must come back, the tests know.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.end_to_end.dev_process import ask_dagster

LAUNCH = """mutation($params: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $params) {
    __typename
    ... on LaunchBackfillSuccess { backfillId }
    ... on PythonError { message }
  }
}"""
BACKFILL = """query($id: String!) {
  partitionBackfillOrError(backfillId: $id) {
    ... on PartitionBackfill {
      status
      assetBackfillData { assetBackfillStatuses { ... on AssetPartitionsStatusCounts {
        assetKey { path } numPartitionsTargeted numPartitionsMaterialized numPartitionsFailed
      } } }
    }
  }
}"""
RUNS = """query($id: String!) {
  runsOrError(filter: {tags: [{key: "dagster/backfill", value: $id}]}) { ... on Runs { results {
    runId status
    eventConnection(limit: 1000) { events {
      ... on RunFailureEvent { message error { message causes { message } } }
      ... on ExecutionStepFailureEvent { message error { message causes { message } } }
      ... on EngineEvent { message error { message causes { message } } }
    } }
  } } }
}"""
PARTITIONS = """query($key: AssetKeyInput!) {
  assetNodeOrError(assetKey: $key) { ... on AssetNode {
    partitionKeys
    assetPartitionStatuses { ... on TimePartitionStatuses { ranges { startKey endKey status } } }
  } }
}"""
MATERIALIZATIONS = """query($key: AssetKeyInput!) {
  assetNodeOrError(assetKey: $key) { ... on AssetNode { assetMaterializations(limit: 1000) {
    partition
    metadataEntries { label ... on IntMetadataEntry { intValue } ... on FloatMetadataEntry { floatValue } }
  } } }
}"""
CHECKS = """query($key: AssetKeyInput!, $name: String!) {
  assetCheckExecutions(assetKey: $key, checkName: $name, limit: 1000) { partition status }
}"""


@dataclass(frozen=True)
class Backfill:
    """How far a backfill is; of each asset how many partitions it targets, made, and failed to make.

    `reasons` is for whoever reads that it failed: the words of its failed runs and steps.
    """

    status: str
    counts: dict[str, tuple[int, int, int]]
    reasons: tuple[str, ...] = field(default=(), compare=False)


@dataclass(frozen=True)
class DagsterApi:
    """The webserver of `flows dev` in this environment."""

    environment: Mapping[str, str]

    def launch(self, assets: Sequence[str], keys: Sequence[str]) -> str:
        """The id of a backfill of these partitions, launched as the dialog launches it."""
        params = {"assetSelection": [_key(asset) for asset in assets], "partitionNames": list(keys)}
        told = ask_dagster(self.environment, LAUNCH, params=params)["launchPartitionBackfill"]
        assert told["__typename"] == "LaunchBackfillSuccess", told
        return str(told["backfillId"])

    def finished(self, backfill_id: str) -> Backfill:
        """The backfill once the daemon is done with it; the test's own timeout ends the wait."""
        while (found := self._backfill(backfill_id)).status in {"REQUESTED", "COMPLETING", "FAILING"}:
            time.sleep(1)
        return found

    def _backfill(self, backfill_id: str) -> Backfill:
        told = ask_dagster(self.environment, BACKFILL, id=backfill_id)["partitionBackfillOrError"]
        statuses = told["assetBackfillData"]["assetBackfillStatuses"]
        counts = ("numPartitionsTargeted", "numPartitionsMaterialized", "numPartitionsFailed")
        return Backfill(
            told["status"],
            {_name(status): tuple(status[count] for count in counts) for status in statuses},
            tuple(self._reasons(backfill_id)) if told["status"] == "COMPLETED_FAILED" else (),
        )

    def _reasons(self, backfill_id: str) -> Iterator[str]:
        for run in ask_dagster(self.environment, RUNS, id=backfill_id)["runsOrError"]["results"]:
            for event in filter(None, run["eventConnection"]["events"]):
                if error := event["error"]:
                    words = (event["message"], error["message"], *(cause["message"] for cause in error["causes"]))
                    yield f"{run['runId']}: {' / '.join(words)}"
                elif run["status"] == "FAILURE":  # what the daemon and the run's process did until then
                    yield f"{run['runId']}: {event['message']}"

    def partitions(self, asset: str) -> dict[str, str]:
        """The status of each partition, as the bar over them is coloured."""
        node = self._node(asset, PARTITIONS)
        keys: list[str] = node["partitionKeys"]
        found = dict.fromkeys(keys, "MISSING")
        for span in node["assetPartitionStatuses"]["ranges"]:
            inside = keys[keys.index(span["startKey"]) : keys.index(span["endKey"]) + 1]
            found |= dict.fromkeys(inside, span["status"])
        return found

    def keys(self, asset: str, *statuses: str) -> list[str]:
        """The partitions with one of these statuses."""
        return [key for key, status in self.partitions(asset).items() if status in statuses]

    def series(self, asset: str, label: str) -> list[tuple[str, float]]:
        """A metadata entry's values as they are plotted: each materialization's partition and number, oldest first."""
        entries = [
            (event["partition"], entry.get("intValue", entry.get("floatValue")))
            for event in reversed(self._node(asset, MATERIALIZATIONS)["assetMaterializations"])
            for entry in event["metadataEntries"]
            if entry["label"] == label
        ]
        assert all(isinstance(value, int | float) for _, value in entries), entries
        return entries

    def checks(self, asset: str, name: str) -> dict[str | None, str]:
        """How a check last ended, by the partition that it is recorded under."""
        told = ask_dagster(self.environment, CHECKS, key=_key(asset), name=name)["assetCheckExecutions"]
        return {status["partition"]: status["status"] for status in reversed(told)}

    def _node(self, asset: str, query: str) -> dict[str, Any]:
        node: dict[str, Any] = ask_dagster(self.environment, query, key=_key(asset))["assetNodeOrError"]
        return node


def _key(asset: str) -> dict[str, list[str]]:
    return {"path": [asset]}


def _name(status: dict[str, Any]) -> str:
    return "/".join(status["assetKey"]["path"])
