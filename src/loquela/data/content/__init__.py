"""object ─ what is it? ─▶ records | a document | a web archive ─▶ texts."""
