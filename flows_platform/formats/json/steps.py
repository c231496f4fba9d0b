"""The steps from a JSON document to the container of its records."""

from flows_platform.columns.paths import RecordPath
from flows_platform.domain.errors import ConfigurationError

type Steps = list[str | int]  # names of members and indexes of elements that lead to a value


def steps_to(path: str) -> Steps:
    """The steps of a path such as `tables[0].rows`; an empty path leads to the document itself.

    Raises:
        ConfigurationError: it is not a path, or chooses among several values.
    """
    steps: Steps = []
    for step in RecordPath.parse(path).steps if path else ():
        if step.all or step.key is not None:
            raise ConfigurationError(
                f"{path!r} leads to several values.", remedy="Name one array: by members, and by [0] within arrays."
            )
        steps += [step.name] if step.index is None else [step.name, step.index]
    return steps
