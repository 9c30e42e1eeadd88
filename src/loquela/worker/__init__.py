"""Supervises queued work: claims a job, runs it in a process of its own, beats for it, ends it.

queue ─ claim ─▶ job folder ─ child process ─▶ result | error ─ end
                      ▲ heartbeat, cancel, pause, shutdown ▼
"""
