"""What was asked for and how far it is, in SQL: the truth that API, workers and bots share.

submit ─▶ queued ─ claim (lease, fence) ─▶ starting ─▶ running ─▶ succeeded | failed | cancelled | paused
              ▲                                           │
              └──────────── interrupted ◀── lease lost ───┘

A row decides; queues and channels only ring a bell (`doorbell`). Nothing here loads a tensor library.
"""
