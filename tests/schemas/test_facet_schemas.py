"""The facet schemas and their examples."""

import json
import re
from pathlib import Path
from urllib.parse import urlsplit

import jsonschema_rs
import pytest
from jsonschema import Draft202012Validator

import modeltrail_schemas
from modeltrail_schemas import FACETS, SCHEMA_BASE_URL, Example, FacetSpec

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "schemas" / "modeltrail_schemas" / "facets"
VERSION = re.compile(r"\d+-\d+-\d+")
EACH = pytest.mark.parametrize("spec", FACETS, ids=lambda spec: spec.key)
BASES = {
    "run": {"_producer", "_schemaURL"},
    "dataset": {"_producer", "_schemaURL", "_deleted"},
    "input_dataset": {"_producer", "_schemaURL"},
    "output_dataset": {"_producer", "_schemaURL"},
}


def definition(spec: FacetSpec) -> dict:
    return modeltrail_schemas.facet_schema(spec.key)["$defs"][spec.class_name]


def errors(spec: FacetSpec, facet: dict) -> list[str]:
    """Every error as `path keyword`; the path of a missing field is where it should be."""
    validator = jsonschema_rs.Draft202012Validator(definition(spec), validate_formats=True)
    found = []
    for error in validator.iter_errors(facet):
        path = "$" + "".join(
            f"[{step}]" if isinstance(step, int) else f".{step}" for step in error.instance_path
        )
        if error.kind.name == "required":
            path += f".{error.kind.property}"
        found.append(f"{path} {error.schema_path[-1]}")
    return found


def nodes(schema: object):
    """Every schema inside a schema, itself included, and only schemas: not the maps of properties."""
    if isinstance(schema, dict):
        yield schema
        for child in [
            *schema.get("properties", {}).values(),
            schema.get("items"),
            schema.get("additionalProperties"),
        ]:
            yield from nodes(child)


def test_there_are_seventeen_facets() -> None:
    """Seventeen facets are published, each under a key and a class name of its own."""
    assert (
        17 == len(FACETS) == len({spec.key for spec in FACETS}) == len({spec.class_name for spec in FACETS})
    )
    assert {spec.key for spec in FACETS} == {folder.name for folder in FOLDER.iterdir()}


@EACH
def test_names_follow_openlineage(spec: FacetSpec) -> None:
    """A key is prefix and name, the class the same in PascalCase, with its entity and `Facet`."""
    prefix, name = spec.key.split("_")
    entity = "".join(word.capitalize() for word in spec.entity.split("_"))
    assert spec.class_name == f"{prefix[0].upper()}{prefix[1:]}{name[0].upper()}{name[1:]}{entity}Facet"
    assert VERSION.fullmatch(spec.version)


@EACH
def test_is_a_schema_of_its_draft(spec: FacetSpec) -> None:
    """Each document is a valid JSON Schema of 2020-12."""
    document = modeltrail_schemas.facet_schema(spec.key)
    assert "https://json-schema.org/draft/2020-12/schema" == document["$schema"]
    Draft202012Validator.check_schema(document)


@EACH
def test_identity_is_the_url(spec: FacetSpec) -> None:
    """A document's `$id` is the schema URL without its fragment, which points at the definition."""
    url = urlsplit(modeltrail_schemas.schema_url(spec.key))
    document = modeltrail_schemas.facet_schema(spec.key)
    assert document["$id"] == url._replace(fragment="").geturl()
    assert document["$id"] == f"{SCHEMA_BASE_URL}/facets/{spec.key}/{spec.version}.json"
    assert url.fragment == f"/$defs/{spec.class_name}"
    assert [spec.class_name] == list(document["$defs"])


@EACH
def test_refers_to_nothing(spec: FacetSpec) -> None:
    """A definition is whole in itself: nothing has to be fetched to validate a facet."""
    assert "$ref" not in json.dumps(definition(spec))


@EACH
def test_keeps_the_base_of_openlineage_facets(spec: FacetSpec) -> None:
    """Each facet has the base fields of its entity, both addresses required, and allows more fields."""
    schema = definition(spec)
    assert {"_producer", "_schemaURL"} <= set(schema["required"])
    assert BASES[spec.entity] == {name for name in schema["properties"] if name.startswith("_")}
    assert all("uri" == schema["properties"][name]["format"] for name in ("_producer", "_schemaURL"))
    assert all(node.get("additionalProperties") is not False for node in nodes(schema))


@EACH
def test_every_fact_says_how_it_is_known(spec: FacetSpec) -> None:
    """Each facet can say whether it was observed, declared or inferred."""
    assert ["observed", "declared", "inferred"] == definition(spec)["properties"]["capture"]["enum"]


@EACH
def test_every_field_is_described(spec: FacetSpec) -> None:
    """Every field has a description that is a sentence, and what is required exists."""
    schema = definition(spec)
    for node in nodes(schema):
        assert set(node.get("required", ())) <= set(node.get("properties", ()))
        for name, field in node.get("properties", {}).items():
            assert field["description"].endswith((".", "…")), name


@EACH
def test_the_root_describes_a_facets_map(spec: FacetSpec) -> None:
    """A document as a whole validates a facets map with the facet under its key, as OpenLineage's own do."""
    validator = jsonschema_rs.Draft202012Validator(modeltrail_schemas.facet_schema(spec.key))
    for example in modeltrail_schemas.examples(spec.key):
        if example.ok:
            assert validator.is_valid({spec.key: example.facet})
    assert not validator.is_valid({spec.key: {}})


EXAMPLES = [(spec, example) for spec in FACETS for example in modeltrail_schemas.examples(spec.key)]


@pytest.mark.parametrize(
    ("spec", "example"), EXAMPLES, ids=[f"{spec.key}-{example.name}" for spec, example in EXAMPLES]
)
def test_examples(spec: FacetSpec, example: Example) -> None:
    """A good example is valid, and a bad one breaks its schema at the place and keyword that it states."""
    assert ([] if example.ok else [example.reason]) == errors(spec, example.facet)
    assert example.facet["_schemaURL"] == modeltrail_schemas.schema_url(spec.key)


@EACH
def test_enough_examples(spec: FacetSpec) -> None:
    """Each facet has two good examples and three bad ones at least, every file of its folder among them."""
    examples = modeltrail_schemas.examples(spec.key)
    assert 2 <= sum(example.ok for example in examples)
    assert 3 <= sum(not example.ok for example in examples)
    files = {file.stem for file in (FOLDER / spec.key).iterdir()}
    assert spec.version == max(name for name in files if VERSION.fullmatch(name))
    assert {name for name in files if not VERSION.fullmatch(name)} == {example.name for example in examples}


@EACH
def test_rich_and_minimal(spec: FacetSpec) -> None:
    """The minimal example has just the required fields, the rich one all fields."""
    schema = definition(spec)
    examples = {example.name: example.facet for example in modeltrail_schemas.examples(spec.key)}
    assert set(examples["ok-minimal"]) == set(schema["required"])
    assert set(examples["ok-rich"]) == set(schema["properties"]) - {"_deleted"}


def test_a_facet_of_somebody_else() -> None:
    """Asking for a facet that is not ours is a KeyError."""
    for ask in (modeltrail_schemas.schema_url, modeltrail_schemas.facet_schema, modeltrail_schemas.examples):
        with pytest.raises(KeyError):
            ask("spark_properties")


def test_all_schemas_by_key() -> None:
    """The schemas of all facets come by key, each read once."""
    schemas = modeltrail_schemas.facet_schemas()
    assert list(schemas) == [spec.key for spec in FACETS]
    assert schemas["modelTrail_model"] is modeltrail_schemas.facet_schema("modelTrail_model")


def test_the_base_url_stands_once() -> None:
    """The address that the schemas are published at stands in one line of the product's Python."""
    address = SCHEMA_BASE_URL.removeprefix("https://")
    lines = [
        (path.name, line)
        for room in ("emitter", "collector", "schemas")
        for path in sorted((ROOT / room).rglob("*.py"))
        for line in path.read_text(encoding="utf-8").splitlines()
        if address in line
    ]
    assert [("__init__.py", f'SCHEMA_BASE_URL: Final = "{SCHEMA_BASE_URL}"')] == lines
