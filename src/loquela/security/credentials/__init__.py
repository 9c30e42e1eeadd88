"""Credentials: named, kept outside recipes, shown to nobody.

    recipe: credential: books ─ lookup.get("books") ─▶ LOQUELA_CREDENTIAL_BOOKS, else the keyring, else the store

credential.py   what a credential is, and the text form it is given in
environment.py  from variables          system_keyring.py  from the keyring of the desktop
store.py        SQLite, each row sealed  keys.py  the keys of the store          sealing.py  AES-256-GCM
lookup.py       the one door for the rest of Loquela
"""
