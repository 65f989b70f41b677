"""Make a report of any kind."""

from importlib import metadata
from pathlib import Path
from typing import Final

import msgspec

from modeltrail_collector import clock
from modeltrail_collector.answers.database import Database
from modeltrail_collector.errors import ConfigError, NotVerified
from modeltrail_collector.log import Log
from modeltrail_collector.reports import FORMATS, annex_iv, audit, model_card, slsa
from modeltrail_collector.reports.document import Document, Fact
from modeltrail_collector.reports.gather import Dossier, gather
from modeltrail_collector.reports.render import render

_DOCUMENTS: Final = {"audit": audit, "annex-iv": annex_iv, "model-card": model_card}


class Report(msgspec.Struct, frozen=True):
    """The text of a report, and what speaks against the records that it quotes."""

    text: str
    problems: tuple[str, ...]


def report(
    of: Log | Database,
    model: str,
    *,
    kind: str = "audit",
    made_at: str | None = None,
    format_: str | None = None,
    statements: Path | None = None,
) -> Report:
    """A report about `MODEL[@VERSION]`.

    Args:
        of: The log, or a handle on it: with its moment the report is as it was then.
        model: Which model.
        kind: One of `FORMATS`.
        made_at: The one time in it that is not of the log, RFC 3339; None for now.
        format_: One of the formats of the kind; None for its first.
        statements: A file of statements.

    Raises:
        NotFound: No such model, or nothing of it that this kind can be about.
        ConfigError: No such kind or format, or the statements cannot be read.
        NotVerified: The log is not what was sealed, and a machine would not read a warning.
    """
    formats = FORMATS.get(kind)
    if formats is None:
        raise ConfigError(f"{kind!r} is no kind of report: one of {', '.join(FORMATS)}")
    if format_ not in (None, *formats):
        raise ConfigError(f"a report of kind {kind} is made as {' or '.join(formats)}, not as {format_!r}")
    made_at = made_at or clock.rfc3339(clock.wall_ms())
    dossier = gather(of, model, statements)
    if kind in _DOCUMENTS:
        return Report(
            render(_document(dossier, kind, made_at), format_ or formats[0]), dossier.evidence.problems
        )
    if problems := "; ".join(dossier.evidence.problems):
        raise NotVerified(f"no {kind} is made of records that are not what was sealed: {problems}")
    return Report(_machine(dossier, kind, made_at), ())


def _machine(dossier: Dossier, kind: str, made_at: str) -> str:
    """A bill of materials or an attestation; their libraries take long to import."""
    if kind == "spdx":
        from modeltrail_collector.reports import spdx

        return spdx.text(dossier, made_at)
    if kind == "slsa":
        return slsa.text(dossier)
    from cyclonedx.schema import SchemaVersion

    from modeltrail_collector.reports import cyclonedx_bom

    version = SchemaVersion.V1_7 if kind == "cyclonedx-1.7" else SchemaVersion.V1_6
    return cyclonedx_bom.text(dossier, made_at, version)


def _document(dossier: Dossier, kind: str, made_at: str) -> Document:
    module = _DOCUMENTS[kind]
    return Document(
        kind=kind,
        title=f"{module.TITLE}: {dossier.name}@{dossier.version}",
        about=module.ABOUT,
        head=tuple(_head(dossier, made_at)),
        sections=tuple(module.sections(dossier)),
        answer=dossier.evidence.answer,
        problems=dossier.evidence.problems,
        made_at=made_at,
        made_by=f"modeltrail {metadata.version('modeltrail')}",
    )


def _head(dossier: Dossier, made_at: str) -> list[Fact]:
    file = dossier.file
    told = [
        Fact(name="model", value=f"{dossier.name}@{dossier.version}"),
        Fact(name="digest of the model", value=dossier.model["digest"], form="code"),
        Fact(name="log", value=dossier.log, form="code"),
        *(Fact(name=words, value=at, form="time") for words, at in dossier.past),
    ]
    if file:
        commit = f"commit {file.commit}" if file.commit else "not under version control"
        state = f"{commit}, changed since" if file.changed else commit
        told += [
            Fact(name="statements", value=f"{file.name} ({state})"),
            Fact(name="digest of the statements", value=file.sha256, form="code"),
        ]
    return [*told, Fact(name="made at", value=made_at, form="time")]
