"""Who is answered by the dashboard, and what a browser is told to refuse."""

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cosim.experiments.cli import app
from cosim.experiments.dashboard.guard import CALLBACK
from cosim.experiments.dashboard.serve import application, serving
from cosim.models.errors import BadInputError

PORT = 8050
HOME = f"http://127.0.0.1:{PORT}"


@pytest.fixture
def client(tmp_path: Path) -> Any:
    """Return a browser without a screen; who is answered does not depend on there being a run."""
    return application(tmp_path, PORT).test_client()


@pytest.mark.parametrize(
    ("host", "status"),
    [
        (f"127.0.0.1:{PORT}", 200),
        (f"localhost:{PORT}", 200),
        (f"LOCALHOST:{PORT}", 200),
        (f"[::1]:{PORT}", 200),
        ("127.0.0.1", 403),
        (f"localhost:{PORT + 1}", 403),
        (f"localhost.evil.example:{PORT}", 403),
        (f"evil.example:{PORT}", 403),
        (f"0.0.0.0:{PORT}", 403),
        ("", 403),
    ],
)
def test_only_this_machine_is_answered(client: Any, host: str, status: int) -> None:
    """A page that points its own name at this machine (DNS rebinding) reads nothing, at any address."""
    for path in ("/", "/anything", "/_dash-layout", "/_favicon.ico"):
        assert client.get(path, headers={"Host": host}).status_code == status, path


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", f"https://127.0.0.1:{PORT}", "http://127.0.0.1:1", ""]
)
def test_a_foreign_origin_is_refused(client: Any, origin: str) -> None:
    """What another page asks of this one across sites is answered with 403."""
    assert client.post(CALLBACK, json={}, base_url=HOME, headers={"Origin": origin}).status_code == 403
    assert client.get("/", base_url=HOME, headers={"Origin": origin}).status_code == 403


def test_nothing_can_be_changed(client: Any) -> None:
    """No address takes anything but a question, and the one that is posted to takes no flood."""
    for rule in client.application.url_map.iter_rules():
        for method in ("PUT", "DELETE", "PATCH", "POST", "OPTIONS"):
            if (rule.rule, method) != (CALLBACK, "POST"):
                assert client.open(rule.rule, method=method, base_url=HOME).status_code == 405, rule
    flood = client.post(CALLBACK, data=b" " * (2 << 20), base_url=HOME, content_type="application/json")
    assert flood.status_code in {400, 413, 500}


def test_the_browser_is_told_to_refuse_the_rest(client: Any) -> None:
    """Every answer carries a policy without an address, scripts by digest, no frames; the page names nobody else."""
    for path in ("/", "/_dash-layout", "/no-such"):
        headers = client.get(path, base_url=HOME).headers
        policy = headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; script-src 'self' 'sha256-")
        assert "http" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert "Access-Control-Allow-Origin" not in headers
    assert client.get("/", headers={"Host": "evil"}).headers["Content-Security-Policy"]
    page = client.get("/", base_url=HOME).text
    assert 'src="http' not in page
    assert 'href="http' not in page
    assert '"ui":false' in page


def test_it_listens_on_loopback_only() -> None:
    """The socket is bound to 127.0.0.1, and no option says otherwise."""
    with serving(Path("nowhere")) as server:
        assert server.server_address[0] == "127.0.0.1"
        with (
            pytest.raises(BadInputError, match=r"--port is \d+; it is not to be had"),
            serving(Path("nowhere"), server.port),
        ):
            pass
    assert "--host" not in CliRunner().invoke(app, ["dashboard", "--help"]).output


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A clear sentence and exit code 2; a folder without a run is exit code 4."""
    assert CliRunner().invoke(app, ["dashboard", str(tmp_path)]).exit_code == 4
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    told = CliRunner().invoke(app, ["dashboard", str(tmp_path)])
    assert told.exit_code == 2
    assert "this needs the extra `dash`: pip install 'cosim[dash]'" in told.stderr
