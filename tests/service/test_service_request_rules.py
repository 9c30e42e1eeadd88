"""What a recipe in a request may not ask for, and that nothing of the kind was forgotten."""

import re
import typing
from pathlib import Path

import pytest
from pydantic import BaseModel

from loquela.core.errors import RecipeError
from loquela.jobs.settings import ServiceSettings
from loquela.recipe.loading import load_values
from loquela.recipe.schema import Recipe
from loquela.service.recipes import admit
from loquela.service.request_rules import MOST, OWN_KEYS, REFUSED, REFUSED_IN_SOURCES, SECTIONS

# A key that sounds like a place, a secret or a program is refused, below corpus/ only, or harmless for this reason.
SUSPICIOUS = re.compile(
    r"url|uri|endpoint|mirror|credential|environ|env$|path|file|director|command|install|host|address|executor|start$"
)
HARMLESS = {
    "data.sources.address": "admitted by its beginning, or below corpus/",
    "data.sources.web.start": "fetched from public addresses only",
    "data.documents.file_mb_max": "a size",
    "data.sources.objects.virtual_hosts": "a form of address",
    "resume_from_checkpoint": "the service's own",
}


def leaves(model, prefix=""):
    """(dotted key, annotation) of every key there is, inside lists too."""

    def models(annotation):
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            yield annotation
        for part in typing.get_args(annotation):
            yield from models(part)

    for name, field in model.model_fields.items():
        inner = list(dict.fromkeys(models(field.annotation)))
        for each in inner:
            yield from leaves(each, f"{prefix}{name}.")
        if not inner:
            yield f"{prefix}{name}", field.annotation


def has_path(annotation):
    return annotation is Path or any(has_path(part) for part in typing.get_args(annotation))


def covered(key):
    begins = [*REFUSED, *OWN_KEYS, *(f"data.sources.{name}" for name in REFUSED_IN_SOURCES)]
    return (
        any(key == name or key.startswith(f"{name}.") for name in begins)
        or key.partition(".")[0] not in SECTIONS
        or key.endswith("credential")
    )


def test_no_key_that_sounds_dangerous_was_forgotten():
    found = [(key, kind) for key, kind in leaves(Recipe) if SUSPICIOUS.search(key.rpartition(".")[2])]
    assert len(found) > 15
    assert [key for key, kind in found if not (covered(key) or has_path(kind) or key in HARMLESS)] == []


@pytest.fixture
def settings(tmp_path):
    made = ServiceSettings(data=tmp_path / "d")
    made.corpus.mkdir(parents=True)
    (made.corpus / "story.txt").write_text("A story.\n")
    return made


def no_upload(file_id):
    raise AssertionError(file_id)


def nested(key, value):
    for part in reversed(key.split(".")):
        value = {part: value}
    return value


# What else a recipe must say for a key to mean something.
NEEDS = {
    "data.splitter.tokenizer": {"method": "token"},
    "examples.template_file": {"template": "custom", "sources": ["story.txt"]},
    "examples.tokenizer": {"sources": ["story.txt"]},
    "model.pretrained_path": {"initialization": "pretrained"},
}


@pytest.mark.parametrize("key", [key for key, kind in leaves(Recipe) if has_path(kind) and not covered(key)])
def test_every_path_of_a_recipe_lies_below_corpus(settings, key):
    """A new key that is a path is found here, wherever it stands."""
    section, _, name = key.rpartition(".")
    kind = dict(leaves(Recipe))[key]
    value = ["/etc/passwd"] if typing.get_origin(kind) is list else "/etc/passwd"
    recipe = nested(section, {**NEEDS.get(key, {}), name: value})
    load_values(recipe, "request")
    with pytest.raises(RecipeError, match="is no name of a file below corpus/"):
        admit(recipe, settings, no_upload)


@pytest.mark.parametrize(
    "recipe",
    [
        {"data": {"gutenberg_mirror": "https://evil.test"}},
        {"data": {"validation": {"pii": {"action": "pseudonymize", "key_environment": "HOME"}}}},
        {"data": {"allow_private_addresses": True}},
        {"tracking": {"uri": "file:///tmp/x"}, "track": ["mlflow"]},
        {"compute": {"data": "slurm"}},
        {"compute": {"cloud": {"provider": "aws", "gpu": "h100"}}},
        {"compute": {"processes": 17}},
        {"data": {"sources": [{"address": "https://example.org/x", "credential": "books"}]}},
        {"data": {"documents": {"password_credential": "books"}}},
        {"qa": {"credential": "books"}},
        {"qa": {"base_url": "https://evil.test/"}},
        {"data": {"sources": [{"address": "s3://bucket/x", "objects": {"endpoint": "https://evil.test"}}]}},
        {"resume_from_checkpoint": True},
    ],
    ids=str,
)
def test_what_would_reach_the_servers_secrets_or_programs_is_refused(settings, recipe):
    # It is a good recipe for who owns the machine.
    load_values(recipe, "request")
    with pytest.raises(RecipeError) as caught:
        admit(recipe, settings, no_upload)
    assert caught.value.remedy
    assert re.search(
        "it would |is the service's to decide|a request may have|not among those that requests may use",
        caught.value.message,
    )


def test_a_section_that_is_not_known_here_is_the_owners(settings, monkeypatch):
    monkeypatch.setattr("loquela.service.request_rules.SECTIONS", frozenset({"data"}))
    with pytest.raises(RecipeError, match=r"train\.epochs: it is the service owner's to decide"):
        admit({"train": {"epochs": 1}}, settings, no_upload)


def test_a_credential_that_the_owner_named_may_be_used(settings):
    recipe = {"data": {"sources": [{"address": "https://example.org/x", "credential": "books"}]}}
    allowed = settings.model_copy(update={"allowed_credentials": ["books"]})
    admitted = admit(recipe, allowed, no_upload).recipe.data.sources
    assert [source.credential for source in admitted] == ["books"]


def test_every_most_is_a_key():
    assert {*MOST} <= {key for key, _ in leaves(Recipe)}


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "2130706433", "0x7f000001", "0177.0.0.1", "127.1", "0", "10.0.0.1", "169.254.169.254", "[::1]",
        "[::ffff:127.0.0.1]", "[fd00::1]", "[fe80::1]", "[64:ff9b::7f00:1]", "192.168.1.1", "user@127.0.0.1",
    ],
)  # fmt: skip
def test_an_address_that_is_a_number_of_this_network_is_refused_at_once(settings, host):
    with pytest.raises(RecipeError, match="is a .* address"):
        admit({"data": {"sources": [f"https://{host}/x"]}}, settings, no_upload)


def test_names_and_public_numbers_are_left_for_when_they_are_fetched(settings):
    named = ["https://localhost/x", "https://example.org/x", "https://93.184.216.34/x", "https://[/x"]
    assert admit({"data": {"sources": named}}, settings, no_upload).recipe.data.sources == named
