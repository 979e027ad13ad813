"""TOML, YAML and env files are edited in place."""

from __future__ import annotations

import tomllib

import pytest
from ruamel.yaml import YAML

from metis.cli.editing.document import open_document
from metis.cli.editing.jsonc import ABSENT
from metis.clients.client import Item
from metis.errors import ConfigError

PROVIDER = ("model_providers", "metis")


def test_toml_keeps_comments_and_puts_top_level_values_before_tables():
    text = '# mine\nmodel = "gpt-5.2" # favourite\n\n[projects."/x"]\ntrust_level = "trusted"\n'
    document = open_document(text, "toml")
    document.set(("model_provider",), "metis")
    document.set((*PROVIDER, "name"), "Metis")
    document.set((*PROVIDER, "auth", "args"), ["/k"])
    assert document.render() == (
        '# mine\nmodel = "gpt-5.2" # favourite\nmodel_provider = "metis"\n\n'
        '[projects."/x"]\ntrust_level = "trusted"\n\n'
        '[model_providers.metis]\nname = "Metis"\n\n[model_providers.metis.auth]\nargs = ["/k"]\n'
    )


def test_toml_stays_valid_beside_another_provider_and_undoes_cleanly():
    text = '[model_providers.other]\nname = "o"\n'
    document = open_document(text, "toml")
    document.set(("model_provider",), "metis")
    document.set((*PROVIDER, "name"), "Metis")
    assert tomllib.loads(document.render()) == {
        "model_provider": "metis",
        "model_providers": {"other": {"name": "o"}, "metis": {"name": "Metis"}},
    }
    assert document.get(PROVIDER) == {"name": "Metis"}
    document.remove(PROVIDER)
    document.remove(("model_provider",))
    assert tomllib.loads(document.render()) == tomllib.loads(text)


def test_yaml_keeps_comments_quotes_and_the_lists_own_indentation():
    text = '# c\nname: x\nmodels:\n- name: a # keep\n  provider: "p"\n'
    document = open_document(text, "yaml")
    document.set(("models", Item("name", "Metis"), "provider"), "anthropic")
    assert document.render() == text + "- name: Metis\n  provider: anthropic\n"
    document.remove(("models", Item("name", "Metis")))
    assert document.render() == text


def test_yaml_is_made_from_nothing():
    document = open_document("", "yaml")
    document.set(("name",), "Local")
    document.set(("models", Item("name", "Metis"), "apiKey"), "${{ secrets.X }}")
    document.set(("models", Item("name", "Metis"), "roles"), ["chat"])
    assert YAML(typ="safe").load(document.render()) == {
        "name": "Local",
        "models": [{"name": "Metis", "apiKey": "${{ secrets.X }}", "roles": ["chat"]}],
    }


def test_an_env_file_is_changed_line_by_line():
    document = open_document("# mine\nexport A='old'\nB=2\n", "env")
    assert document.get(("A",)) == "old"
    document.set(("A",), "new value")
    document.set(("C",), "http://127.0.0.1:8080/v1")
    assert document.render() == "# mine\nA='new value'\nB=2\nC=http://127.0.0.1:8080/v1\n"
    document.remove(("B",))
    assert document.get(("B",)) is ABSENT


@pytest.mark.parametrize(
    ("text", "format"), [("a = = 1", "toml"), ("a: [1", "yaml"), ("- 1\n", "yaml"), ("{", "json")]
)
def test_what_is_not_of_its_format_is_refused(text: str, format):
    with pytest.raises(ConfigError):
        open_document(text, format)


def test_a_scalar_where_a_table_must_be_is_not_overwritten():
    with pytest.raises(ConfigError, match="no table"):
        open_document('model_providers = "x"\n', "toml").set((*PROVIDER, "name"), "Metis")
