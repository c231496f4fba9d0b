"""Dagster's code location: all sources, or those of the run that this process was started for.

Loading it reads settings, YAML and the run; no network, no data, no clock.
"""

from flows_platform.runtime.imports import collector_paused

with collector_paused():
    from flows_platform.settings import load_settings
    from flows_platform.sources.loading import build_definitions
    from flows_platform.sources.one_run import definitions_of_process

    defs = definitions_of_process(load_settings())

__all__ = ["build_definitions", "defs"]
