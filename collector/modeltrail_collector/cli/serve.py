"""`modeltrail serve`: events by HTTP."""

import logging
import signal
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import click

from modeltrail_collector.cli.collect import INTERRUPTED
from modeltrail_collector.cli.output import (
    log_format_option,
    log_option,
    metrics_at,
    metrics_option,
    told_as_json,
)
from modeltrail_collector.errors import ConfigError

if TYPE_CHECKING:
    from modeltrail_collector.web.commit import Sink

for _package in ("starlette", "uvicorn"):
    if find_spec(_package) is None:  # of the extra `serve`: missed when the command is loaded
        raise ModuleNotFoundError(f"No module named {_package!r}", name=_package)

_logger = logging.getLogger(__name__)


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen at.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=5000,
    show_default=True,
    help="The port to listen at; 0 finds a free one.",
)
@log_option
@click.option(
    "--bootstrap-servers",
    metavar="HOST:PORT,…",
    envvar="MODELTRAIL_BOOTSTRAP_SERVERS",
    help="Produce to this Kafka cluster, instead of appending to the inbox of the log.",
)
@click.option("--topic", help="The topic.  [default: openlineage.events]")
@click.option(
    "--tokens", metavar="FILE", type=click.Path(), help="Who may send: a TOML file, see docs/serve.md."
)
@click.option("--without-tokens", is_flag=True, help="Take events of everybody, from other machines too.")
@click.option("--tls-cert", metavar="FILE", type=click.Path(), help="The certificate (PEM): serve HTTPS.")
@click.option("--tls-key", metavar="FILE", type=click.Path(), help="Its key (PEM).")
@metrics_option
@log_format_option
def serve(  # noqa: PLR0917  click gives them by name
    host: str,
    port: int,
    log_uri: str,
    bootstrap_servers: str | None,
    topic: str | None,
    tokens: str | None,
    tls_cert: str | None,
    tls_key: str | None,
    metrics: str | None,
    log_format: Any,
    *,
    without_tokens: bool,
) -> int:
    """Take OpenLineage events by HTTP, and answer what a client of Marquez asks.

    An event is acknowledged when it is durable: on the disk, in the inbox of the log, which `modeltrail
    compact` takes in; or with --bootstrap-servers in the topic, on all its replicas. SIGTERM and Ctrl-C
    finish what is under way. From other machines only those may send who have a token: one of --tokens, or
    the one in the variable MODELTRAIL_TOKEN.

    \b
    modeltrail serve
    modeltrail serve --host 0.0.0.0 --tokens tokens.toml --tls-cert cert.pem --tls-key key.pem
    modeltrail serve --bootstrap-servers localhost:9092 --metrics 9464 --log-format json
    """
    from modeltrail_collector.telemetry.boards import ServeBoard
    from modeltrail_collector.telemetry.logs import configure
    from modeltrail_collector.web import server
    from modeltrail_collector.web.status import ServeStatus
    from modeltrail_collector.web.tokens import Gate, read_grants

    configure(log_format)
    with told_as_json(log_format):
        if bool(tls_cert) != bool(tls_key):
            raise ConfigError("--tls-cert and --tls-key go together")
        tls = (tls_cert, tls_key) if tls_cert and tls_key else None
        grants = read_grants(tokens)
        sink, where = _sink(log_uri, bootstrap_servers, topic)
        status = ServeStatus()
        with server.listening(host, port) as listener, metrics_at(metrics, ServeBoard(status)):
            if not (grants or without_tokens or server.is_local(listener)):
                raise ConfigError(
                    f"{host} can be reached from other machines: say who may send with --tokens FILE, "
                    "or take events of everybody with --without-tokens"
                )
            url = f"{'https' if tls else 'http'}://{_shown(host)}:{listener.getsockname()[1]}"
            ready = partial(_tell, url, where, log_format)
            ended = server.serve(listener, sink, log_uri, Gate(grants), status, ready=ready, tls=tls)
    return INTERRUPTED if ended == signal.SIGINT else 0


def _sink(log_uri: str, servers: str | None, topic: str | None) -> tuple["Sink", str]:
    """What keeps the events, and what people call it."""
    from modeltrail_collector.config import kafka_config
    from modeltrail_collector.intake.kafka import Connection
    from modeltrail_collector.log import open_log
    from modeltrail_collector.web.broker import BrokerSink
    from modeltrail_collector.web.inbox import InboxSink

    if servers:
        found = kafka_config(servers, topic)
        connection = Connection(servers, found.topic.value, found.group.value, found.options)
        return BrokerSink(connection), f"the topic {found.topic.value} at {servers}"
    if topic:
        raise click.UsageError("--topic goes with --bootstrap-servers")
    inbox = open_log(log_uri).inbox
    if inbox is None:
        raise ConfigError(
            f"the log {log_uri} is in an object store and has no inbox: give --bootstrap-servers and collect "
            "from there, or a --log that is a directory"
        )
    return InboxSink(inbox), str(inbox)


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _tell(url: str, where: str, log_format: str) -> None:
    text = f"Events sent to {url}/api/v1/lineage go to {where}; Ctrl-C or SIGTERM ends it."
    if log_format == "json":
        _logger.info(text, extra={"event": "serving", "url": url, "sink": where})
    else:
        click.echo(text, err=True)
