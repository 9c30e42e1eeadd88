"""Runs trained and watched from Discord, in direct messages of their owner; needs the extra `discord`.

    Discord ─ slash command ─▶ commands ─▶ client.AsyncClient ─ HTTP ─▶ the service
    the service ─ events ─▶ follower ─▶ store (SQLite) ─▶ delivery ─▶ messenger ─▶ Discord

Everything that is shown comes from the service and passes `redaction`. What is yet to be told lies in the store before
it is told, so that a killed bot goes on where it was and says nothing twice.
"""
