"""Dagster's code location: all sources, merged. Loading it reads settings and YAML; no network, no data, no clock."""

from flows_platform.runtime.imports import collector_paused

with collector_paused():
    from flows_platform.settings import load_settings
    from flows_platform.sources.loading import build_definitions

    defs = build_definitions(load_settings())

__all__ = ["build_definitions", "defs"]
