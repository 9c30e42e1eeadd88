"""Alerts as data and decisions: rules, what is watched, what a person is told and when. No network, no database.

events ─ observations ─▶ detection ─▶ decision (cool-down, resolve) ─▶ routing (channels, quiet hours)
"""
