"""`loquela credentials`: keep, list, remove and re-encrypt the secrets that sources ask for by name."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from loquela.cli.options import json_option
from loquela.cli.output import emit_json, table

if TYPE_CHECKING:
    from loquela.security.credentials.credential import Credential, CredentialKind

KINDS = ("bearer", "basic", "header", "key_pair")

name_argument = click.argument("name", metavar="NAME")


@click.group("credentials", epilog="\b\nExample:\n  loquela credentials set books-api\n  loquela credentials list")
def command() -> None:
    """Keep the secrets that sources ask for by name.

    They are encrypted in a file of your own configuration folder; a recipe holds only the name (credential: books-api).
    The variable LOQUELA_CREDENTIAL_<NAME> and the keyring are asked first.
    """


@command.command("set", epilog="\b\nExample:\n  loquela credentials set library --kind basic --host db.example.org")
@name_argument
@click.option("--kind", type=click.Choice(KINDS), default="bearer", show_default=True, help="What it is used as.")
@click.option("--host", metavar="HOST", help="Give it to this host only.")
@json_option
def set_command(name: str, kind: CredentialKind, host: str | None, as_json: bool) -> None:
    """Keep a credential, in place of an earlier one of that name.

    Its fields (bearer: token; basic: username, password; header: header, value; key_pair: access_key_id,
    secret_access_key) are asked for without echo, or read from standard input, one a line.
    """
    from loquela.security.credentials.credential import require_name
    from loquela.security.credentials.store import CredentialStore

    require_name(name)
    credential = _asked(kind, host) if sys.stdin.isatty() else _piped(kind, host)
    store = CredentialStore()
    store.put(name, credential)
    if as_json:
        emit_json({"name": name, "kind": kind, "host": host, "store": str(store.path)})
    else:
        click.echo(f"kept {name} ({kind}) in {store.path}")


@command.command("list", epilog="\b\nExample:\n  loquela credentials list --json")
@json_option
def list_command(as_json: bool) -> None:
    """Names, kinds and hosts of what is kept; never a secret."""
    from loquela.security.credentials.store import CredentialStore

    found = CredentialStore().listed()
    if as_json:
        emit_json({"credentials": [credential.model_dump(mode="json") for credential in found]})
    elif found:
        rows = [[c.name, c.kind, c.host or "any", f"{c.changed_at:%Y-%m-%d %H:%M}"] for c in found]
        table(["name", "kind", "host", "changed (UTC)"], rows)
    else:
        click.echo("no credential is kept; keep one: loquela credentials set NAME")


@command.command("remove", epilog="\b\nExample:\n  loquela credentials remove books-api")
@name_argument
@json_option
def remove_command(name: str, as_json: bool) -> None:
    """Forget a credential."""
    from loquela.core.errors import ErrorCode, RecipeError
    from loquela.security.credentials.store import CredentialStore

    if not CredentialStore().remove(name):
        raise RecipeError(
            ErrorCode.CONFIG_INVALID,
            f"the store keeps no credential {name!r}, so nothing was removed",
            "list what is kept: loquela credentials list",
        )
    if as_json:
        emit_json({"removed": name})
    else:
        click.echo(f"removed {name}")


@command.command("rotate", epilog="\b\nExample:\n  loquela credentials rotate")
@json_option
def rotate_command(as_json: bool) -> None:
    """Encrypt everything that is kept with a new key.

    A key in LOQUELA_CREDENTIALS_KEY is yours to replace: put the new one before the old one, separated by a comma,
    run this, and take the old one out.
    """
    from loquela.security.credentials.store import CredentialStore

    count = CredentialStore().rotate()
    if as_json:
        emit_json({"credentials": count})
    else:
        click.echo(f"{count} credentials are sealed with the new key")


def _asked(kind: CredentialKind, host: str | None) -> Credential:
    from loquela.security.credentials.credential import FIELDS, PUBLIC_FIELDS

    return _made(
        kind, host, [click.prompt(field, hide_input=field not in PUBLIC_FIELDS, err=True) for field in FIELDS[kind]]
    )


def _piped(kind: CredentialKind, host: str | None) -> Credential:
    return _made(kind, host, sys.stdin.read().splitlines())


def _made(kind: CredentialKind, host: str | None, values: list[str]) -> Credential:
    """The credential; RecipeError(CONFIG_INVALID) when there are more or fewer lines than its kind has fields."""
    from pydantic import SecretStr

    from loquela.core.errors import ErrorCode, RecipeError
    from loquela.security.credentials.credential import FIELDS, Credential

    fields = FIELDS[kind]
    if len(values) != len(fields) or not all(values):
        raise RecipeError(
            ErrorCode.CONFIG_INVALID,
            f"a {kind} credential has {len(fields)} line(s): {', '.join(fields)}; {len(values)} came",
            f"give each on a line of its own, or run the command on a terminal and type them ({', '.join(fields)})",
        )
    secrets = {field: SecretStr(value) for field, value in zip(fields, values, strict=True)}
    return Credential(kind=kind, secrets=secrets, host=host)
