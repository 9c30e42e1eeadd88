"""What a text must be like: rules of quality, prohibited patterns, personal data, language, invisible characters.

    text ─ sanitise ─ patterns ─ personal data ─ language ─ quality rules ─▶ verdict (text, status, signals, reasons)

`checker.DocumentChecker` judges documents, `validator.DataValidator` chunks of raw bytes.
"""
