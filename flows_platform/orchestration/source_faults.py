"""Files of sources that could not be loaded, as Dagster shows them: an asset each, with the reason."""

import re
from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from flows_platform.domain.errors import PlatformError

GROUP = "source_faults"
_NOT_OF_A_NAME = re.compile(r"\W+")


@dataclass(frozen=True, slots=True)
class SourceFault:
    """What is wrong with a file; the message names it. `name` is that of what is left out, if not all of the file."""

    file: str
    message: str
    name: str = ""

    @classmethod
    def of(cls, path: Path, error: Exception) -> "SourceFault":
        """The fault that an error makes of a file."""
        said = str(error) if isinstance(error, PlatformError) else f"{type(error).__name__}: {error}"
        return cls(str(path), said if str(path) in said else f"{path}: {said}")


def fault_assets(faults: list[SourceFault]) -> list[dg.AssetSpec]:
    """An asset for each faulty file: nothing makes it, and its description is what is wrong."""
    messages: dict[str, list[str]] = {}
    for fault in faults:
        messages.setdefault(fault.file, []).append(fault.message)
    return [_asset(file, "\n".join(told)) for file, told in messages.items()]


def _asset(file: str, message: str) -> dg.AssetSpec:
    return dg.AssetSpec(
        [GROUP, _NOT_OF_A_NAME.sub("_", file).strip("_")],
        group_name=GROUP,
        description=f"This source is not loaded.\n\n```\n{message}\n```",
        metadata={"file": file, "fault": message},
        kinds={"yaml"},
    )
