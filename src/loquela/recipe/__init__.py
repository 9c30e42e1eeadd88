"""The file a user writes: YAML or TOML text → checked, derived, explained → `Recipe`.

file + LOQUELA__… environment + --set  →  loading  →  derivation (size dial)  →  Recipe + origins
"""
