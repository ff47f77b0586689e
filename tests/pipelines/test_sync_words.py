"""What `perdure sync` and `perdure import slack-export` say, and how they end, when part of Slack could not be read or told."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from slack_exports import DAY, GENERAL, message, user, write
from typer.testing import CliRunner

from connectors.errors import UserError
from pipelines.cli import app


@pytest.fixture
def serve() -> Iterator[Callable[[dict[str, str]], str]]:
    """Serve a small workspace in which methods or whole media may be refused."""
    servers: list[ThreadingHTTPServer] = []

    def begin(refused: dict[str, str]) -> str:
        class Slack(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                address = urlsplit(self.path)
                method, kind = address.path.rpartition("/")[2], parse_qs(address.query).get("types", [""])[0]
                error = refused.get(kind) or refused.get(method)
                said = {"type": "message", "ts": f"{time.time() - 90_000:.6f}", "user": "UA", "text": "<@UB>"}
                answers: dict[str, dict[str, Any]] = {
                    "auth.test": {"team_id": "T0OWN", "user_id": "UA"},
                    "team.info": {"team": {"id": "T0OWN"}},
                    "users.list": {"members": [user("UA"), user("UB")]},
                    "conversations.list": {"channels": [{"id": "C1", "name": "x", "is_member": True}] if kind == "public_channel" else []},
                    "conversations.history": {"messages": [said]},
                }
                body = json.dumps({"ok": False, "error": error} if error else {"ok": True, **answers.get(method, {})}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_GET

            def log_message(self, *arguments: Any) -> None:
                pass

        servers.append(ThreadingHTTPServer(("127.0.0.1", 0), Slack))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_port}/api/"

    yield begin
    for server in servers:
        server.shutdown()
        server.server_close()


def perdure(home: Path, *arguments: str) -> Any:
    return CliRunner().invoke(app, ["--home", str(home), *arguments])


def home_for(tmp_path: Path, url: str | None) -> Path:
    home = tmp_path / "home"
    assert perdure(home, "init").exit_code == 0
    if url is not None:
        with (home / "perdure.toml").open("a") as file:
            file.write(f'\n[slack]\ntoken = "xoxb-invented"\nbase_url = "{url}"\npace = 1000\nretries = 1\nbackoff_seconds = 0.01\n')
    return home


@pytest.mark.parametrize(
    "refused,named",
    [
        ({"im": "missing_scope"}, ["slack_dm (missing_scope)"]),
        ({"im": "missing_scope", "mpim": "access_denied"}, ["slack_dm (missing_scope)", "slack_group_dm (access_denied)"]),
        ({"public_channel": "fatal_error"}, ["slack_channel (unavailable)"]),
    ],
)
def test_a_stream_that_went_missing_is_named_in_the_last_line(
    tmp_path: Path, serve: Callable[[dict[str, str]], str], refused: dict[str, str], named: list[str]
) -> None:
    done = perdure(home_for(tmp_path, serve(refused)), "sync")
    assert done.exit_code == 3
    last = done.output.strip().splitlines()[-1]
    assert "slack: " in last
    assert all(each in last for each in named), last


def test_a_whole_reading_ends_with_nothing_to_say(tmp_path: Path, serve: Callable[[dict[str, str]], str]) -> None:
    done = perdure(home_for(tmp_path, serve({})), "sync")
    assert (done.exit_code, "could not be" in done.output) == (0, False)


def test_a_closed_port_ends_in_seconds_with_the_setting(tmp_path: Path) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        home = home_for(tmp_path, f"http://127.0.0.1:{held.getsockname()[1]}/api/")
    began = time.monotonic()
    done = perdure(home, "sync")
    assert isinstance(done.exception, UserError)
    assert "slack.base_url" in str(done.exception)
    assert time.monotonic() - began < 20


def test_an_import_takes_the_own_workspace_and_domains_and_says_what_it_lacks(tmp_path: Path) -> None:
    people = [user("UA"), *(user(name, "T0CLIENT", profile={"email": f"{name}@client.example"}) for name in ("UB", "UC"))]
    root = write(tmp_path / "export", {"users.json": people, **GENERAL, f"general/{DAY}": [message(1)]})
    home = home_for(tmp_path, None)
    unsure = perdure(home, "import", "slack-export", str(root))
    assert (unsure.exit_code, "--team-id" in unsure.output) == (0, True)
    for options in (["--team-id", "T0OWN"], ["--own-domain", "own.example", "--own-domain", "other.example"]):
        sure = perdure(home, "import", "slack-export", str(root), *options)
        assert (sure.exit_code, "own_workspace_unknown" in sure.output) == (0, False)
