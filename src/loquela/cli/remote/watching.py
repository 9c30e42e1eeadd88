"""Alerts and the audit log of a service."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from loquela.cli.outcomes import audit_line
from loquela.cli.output import emit_json, print_text, table
from loquela.cli.remote.service import named_run
from loquela.cli.remote.told import time_of
from loquela.client.patience import looks

if TYPE_CHECKING:
    from loquela.client.client import Client
    from loquela.client.operations import AuditEntry, Delivery

PAGE = 200
SENT, ENDED = "sent", ("sent", "failed")


def show_firing(client: Client, *, as_json: bool) -> None:
    """What is wrong now."""
    found = client.alerts()
    if as_json:
        emit_json(found.model_dump(mode="json"))
        return
    if found.alerts:
        rows = [(time_of(each.since), each.severity, each.subject, each.title) for each in found.alerts]
        table(("since", "severity", "of", "what"), rows)
    else:
        print_text("nothing is wrong")
    print_text(f"told: {', '.join(found.channels) or 'nobody, there is no channel'}")
    if found.refused is not None:
        print_text(f"since {time_of(found.refused.at)} its file of alerts is refused: {found.refused.message}")
        print_text(f"  to mend it: {found.refused.remedy}")


def list_deliveries(client: Client, reference: str | None, *, as_json: bool) -> None:
    """What channels were told of a run, or of everything: the newest."""
    subject = None if reference is None else named_run(client, reference).run_id
    page = client.deliveries(limit=PAGE, subject=subject)
    if as_json:
        emit_json({"alerts": [each.model_dump(mode="json") for each in page.deliveries]})
        return
    if not page.deliveries:
        print_text("nothing was told" + (f" of {subject}" if subject else ""))
        return
    table(("time", "severity", "of", "what", "channel", "outcome"), [_row(each) for each in page.deliveries])
    if page.next_before is not None:
        print_text("older ones are left out")


def try_channels(client: Client, channel: str | None, *, as_json: bool) -> bool:
    """Send a message to one channel, or to each, and say what became of it; whether all were told.

    Ctrl+C ends the waiting; the service goes on trying.
    """
    wanted = client.try_alerts(channel)
    found: dict[str, Delivery] = {}
    for pause in looks():
        found = {each.id: each for each in client.deliveries(limit=PAGE).deliveries if each.id in wanted}
        if all(each.state in ENDED for each in found.values()) and len(found) == len(wanted):
            break
        time.sleep(pause)
    results = list(found.values())
    if as_json:
        emit_json({"channels": [each.model_dump(mode="json") for each in results]})
    for each in () if as_json else results:
        why = f": {each.error}" if each.error else ""
        print_text(f"{'✔' if each.state == SENT else '✘'} {each.channel}{why}")
    return all(each.state == SENT for each in results)


def list_audit(client: Client, after: int, limit: int, action: str | None, *, as_json: bool) -> None:
    """Entries, oldest first."""
    entries: list[AuditEntry] = []
    while len(entries) < limit:
        page = client.audit(after=after, limit=min(limit - len(entries), 500), action=action)
        if not page.entries:
            break
        entries += page.entries
        after = page.last_seq
    if as_json:
        emit_json([entry.model_dump(mode="json") for entry in entries])
        return
    for entry in entries:
        print_text(audit_line(entry))


def _row(each: Delivery) -> tuple[str, ...]:
    told = each.notification
    outcome = f"{each.state}: {each.error}" if each.error else each.state
    return time_of(each.created_at), told.severity, told.subject, f"{told.title}. {told.text}", each.channel, outcome
