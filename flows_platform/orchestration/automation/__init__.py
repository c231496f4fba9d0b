"""Decides which windows to run, and when: the schedule, the sensors, the overdue check."""
