"""Web archives (ISO 28500): stream ─ records.py ─ http_payload.py ─ pages.py ─▶ the main text of each page."""
