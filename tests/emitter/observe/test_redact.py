"""No secret survives, and no ordinary setting is taken for one."""

import doctest
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeltrail.observe import redact

SECRET_NAMES = (
    "password",
    "DB_PASSWORD",
    "PGPASSWORD",
    "MYSQL_PWD",
    "dbPass",
    "api_key",
    "apiKey",
    "OPENAI_API_KEY",
    "AWS_SECRET_ACCESS_KEY",
    "aws_session_token",
    "HF_TOKEN",
    "token",
    "auth_token",
    "client-secret",
    "AccountKey",
    "SharedAccessKey",
    "private_key",
    "ssh_key",
    "passphrase",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "STRIPE_KEY",
)
ORDINARY_NAMES = (
    "tokenizer",
    "tokenizer_name",
    "max_tokens",
    "max_new_tokens",
    "n_tokens",
    "token_pattern",
    "token_type_ids",
    "pad_token",
    "eos_token_id",
    "unk_token",
    "key_size",
    "n_keys",
    "num_keys",
    "key",
    "primary_key",
    "PRIMARY_KEY",
    "sort_key",
    "public_key",
    "keyword",
    "secretary",
    "author",
    "n_passes",
    "pass_through",
    "bypass",
    "signature",
    "PWD",
    "compass",
    "monkey",
    "learning_rate",
)
ALPHABET = string.ascii_letters + string.digits
secrets = st.text(ALPHABET, min_size=12, max_size=40).map(lambda text: "x9" + text)
plain = st.text(ALPHABET + " .,;()\n", max_size=30)

SHAPES = (
    "AKIA{upper16}",
    "ghp_{secret}{secret}",
    "github_pat_{secret}{secret}",
    "glpat-{secret}{secret}",
    "xoxb-{secret}",
    "sk-{secret}{secret}",
    "hf_{secret}{secret}",
    "sk_live_{secret}",
    "eyJ{secret}.eyJ{secret}.{secret}",
    "-----BEGIN RSA PRIVATE KEY-----\n{secret}\n-----END RSA PRIVATE KEY-----",
    "-----BEGIN PRIVATE KEY-----\n{secret}",
    "https://user:{secret}@host/path",
    "https://{secret}@github.com/org/repo.git",
    "postgresql+psycopg2://me:{secret}@db:5432/x",
    "redis://:{secret}@cache:6379/0",
    "https://host/p?a=1&token={secret}&b=2",
    "https://store/k?X-Amz-Signature={secret}",
    "https://account.blob/x?sv=1&sig={secret}",
    "Authorization: Bearer {secret}",
    "authorization: Basic {secret}==",
    "curl -H 'Authorization: token {secret}'",
    "bearer {secret}1",
    "curl -u me:{secret} http://x",
    "train.py --password {secret} --n 3",
    "train.py --token={secret}",
    "train.py --api-key '{secret}'",
    "Server=db;User Id=me;Password={secret};Timeout=5",
    "AccountName=a;AccountKey={secret}==;EndpointSuffix=x",
    'settings = {{"password": "{secret}", "n": 3}}',
    "+API_KEY = '{secret}'",
    "export AWS_SECRET_ACCESS_KEY={secret}",
    "client_secret: {secret}",
    'url = "https://x/?access_token={secret}"',
    "password: 'it''s {secret}'",
)


@pytest.mark.parametrize("shape", SHAPES)
@given(secret=secrets, before=plain, after=plain)
def test_no_secret_survives(shape, secret, before, after):
    """A secret in any known shape is gone from the text, whatever stands around it."""
    upper = secret.upper().ljust(16, "A")[:16]
    text = f"{before} {shape.format(secret=secret, upper16=upper)} {after}"
    cleaned = redact.text(text)
    assert secret not in cleaned
    assert "[redacted]" in cleaned
    if "upper16" in shape:
        assert upper not in cleaned


@pytest.mark.parametrize(("signs", "shape"), redact._SHAPES)
@given(data=st.data())
def test_a_shape_has_one_of_its_signs(signs, shape, data):
    """No text of a shape is passed over because it has none of the texts that the shape is known by."""
    secret = data.draw(st.from_regex(shape))
    assert any(sign in secret for sign in signs)


@given(name=st.sampled_from(SECRET_NAMES), secret=secrets)
def test_a_secret_goes_by_its_name(name, secret):
    """A value whose name says secret is withheld, at any depth, and its path is listed."""
    cleaned, names = redact.mapping({"outer": {"list": [{name: secret}]}, name: secret, "n": 1})
    assert secret not in repr(cleaned)
    assert sorted((name, f"outer.list[0].{name}")) == names
    assert cleaned["n"] == 1


@given(name=st.sampled_from(SECRET_NAMES), secret=secrets)
def test_a_command_line_keeps_its_flags_and_loses_its_secrets(name, secret):
    """`--name value`, `--name=value` and `name=value` lose the value and keep the name."""
    flag = "--" + name
    cleaned = redact.argv(["train.py", flag, secret, f"{flag}={secret}", f"{name}={secret}", "--epochs", "3"])
    assert [
        "train.py",
        flag,
        "[redacted]",
        f"{flag}=[redacted]",
        f"{name}=[redacted]",
        "--epochs",
        "3",
    ] == cleaned


@pytest.mark.parametrize(
    ("line", "cleaned"),
    [
        ("sshpass -p s3cr3t ssh host", "sshpass -p [redacted] ssh host"),
        ("/usr/bin/mysqldump -ume -ps3cr3t db", "/usr/bin/mysqldump -ume -p[redacted] db"),
        ("modeltrail run -- redis-cli -a s3cr3t get x", "modeltrail run -- redis-cli -a [redacted] get x"),
        ("sqlcmd -U me -P s3cr3t -p 1", "sqlcmd -U me -P [redacted] -p 1"),
        ("psql -p 5432 -U me", "psql -p 5432 -U me"),
        ("python train.py -p 3 -u x -w 4", "python train.py -p 3 -u x -w 4"),
    ],
)
def test_an_option_of_one_letter_goes_by_its_program(line, cleaned):
    """Behind a program that is known for it `-p x` is a password; behind any other it is not known to be."""
    assert cleaned.split() == redact.argv(line.split())


@pytest.mark.parametrize("name", ORDINARY_NAMES)
def test_ordinary_settings_stay(name):
    """Names of ordinary parameters are no secrets, in mappings, texts and command lines."""
    assert not redact.is_secret_name(name)
    assert ({name: "abc123"}, []) == redact.mapping({name: "abc123"})
    assert ["--" + name, "abc123"] == redact.argv(["--" + name, "abc123"])
    assert f"{name}=abc123 --{name} abc123" == redact.text(f"{name}=abc123 --{name} abc123")


@pytest.mark.parametrize(
    "text",
    [
        "git@github.com:org/repo.git",
        "ssh://git@github.com/org/repo.git",
        "abfss://container@account.dfs.core.windows.net/raw/x.csv",
        "the secret of good models is data",
        "3f786850e387550fdab836ed7e6dc881de23001b",
        "password: str = None",
        "basic assumptions hold, bearer of news",
        "https://host:8080/path?tokenizer=bert&max_tokens=10",
    ],
)
def test_ordinary_texts_stay(text):
    """What is no secret is left byte for byte."""
    assert text == redact.text(text)


@given(st.text())
def test_texts_of_all_kinds_are_taken(text):
    """Any text is taken, and cleaning twice changes nothing more."""
    once = redact.text(text)
    assert once == redact.text(once)


def test_values_without_content_stay():
    """None and booleans say nothing, so they stay under any name; numbers do not."""
    assert ({"password": None, "token": True}, []) == redact.mapping({"password": None, "token": True})
    assert ({"password": "[redacted]"}, ["password"]) == redact.mapping({"password": 1234})


def test_the_examples_of_the_module_hold():
    """The examples in the docstrings are true."""
    assert 0 == doctest.testmod(redact).failed
