"""Bytes of one object → chunks or records that never split, with a checksum and a place for each.

object ─ raw records (bytes, range) ─ decode ─ parse ─▶ Record        records.py
object ─ raw records ─ chunks of 1–100 MB in a bounded queue ─▶       stream_reader.py
"""
