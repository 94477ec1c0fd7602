"""The laboratory served on this machine: a typed formula is a page, and nobody else is answered."""

import http.client
import json
import re
import subprocess
import sys
import threading
import urllib.parse

import pytest

import gradientflow as gf
from gradientflow.experiments.laboratory import command, writing
from gradientflow.experiments.laboratory.known import Known
from gradientflow.experiments.laboratory.server import Server

from .in_browser import launched, needs_browser
from .thorough import thorough

METHODS = ("gradient_descent:0.1",)


@pytest.fixture(scope="module")
def server():
    asked = pytest.MonkeyPatch()
    asked.setattr(writing, "known_of", lambda *_: Known(None, "unknown", "not asked here"))
    made = command.server_of(command.page_of("x^2 + y^2", (), METHODS, (), lambda what: None), "x^2 + y^2", METHODS)
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield made
    made.shutdown()
    made.server_close()
    thread.join()
    asked.undo()


def ask(server, method="GET", path=None, body=None, headers=None, token=None):
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=60)
    where = f"/{server.token if token is None else token}/{path or ''}"
    connection.request(method, where, body=body, headers=headers or {})
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer, text


def typed(server, energy, methods="gradient_descent:0.1", **more):
    answer, text = ask(server, "POST", body=json.dumps({"energy": energy, "methods": methods}), **more)
    return answer.status, json.loads(text)


def test_a_typed_formula_is_a_page(server):
    status, told = typed(server, " x^4 + y^2/7 ", "gradient_descent:0.01, momentum:0.01")
    assert status == 200
    _, page = ask(server, path=told["page"])
    assert 'const SERVED = {"energy": "x^4 + y^2/7", "methods": "gradient_descent:0.01, momentum:0.01"}' in page
    assert '"label":"momentum"' in page
    assert "connect-src 'self'" in page
    assert ask(server, path="99")[0].status == 404


def test_an_exported_page_has_no_field(server):
    page = gf.lab("x^2 + y^2", gf.optimizers.gradient_descent(gf.landscapes.bowl(), 0.1)).html()
    assert "typed" not in page
    assert "connect-src" not in page
    assert "fetch(" not in page


@pytest.mark.parametrize(
    ("energy", "methods", "named"),
    [
        ("x^2 +", "", "expression: 'x^2 +' is not a formula"),
        ("x^2 + z", "", "expression: variable 'z' is not among the variables x, y"),
        ("__import__('os').system('id')", "", "is not allowed; only arithmetic and functions are"),
        ("/etc/passwd.py:main", "", "names a file, which is not run from here"),
        ("valley", "", "energy: unknown landscape 'valley'"),
        ("1", "", "expression: no variable in '1'"),
        ("x^2 + y^2", "descend:0.1", "method: unknown method 'descend'"),
        ("x^2 + y^2", "momentum:much", "method: 'momentum:much' must be NAME[:step[:parameter]] with numbers"),
    ],
)
def test_what_is_wrong_is_told_in_a_line(server, energy, methods, named):
    status, told = typed(server, energy, methods)
    assert status == 422
    assert named in told["wrong"]
    assert "\n" not in told["wrong"]


def test_nobody_else_is_answered(server):
    here = f"127.0.0.1:{server.server_port}"
    assert ask(server)[0].status == 200
    assert ask(server, headers={"Host": here.replace("127.0.0.1", "localhost")})[0].status == 200
    for headers in ({"Host": "evil.example"}, {"Host": "127.0.0.1"}, {"Origin": "http://evil.example"},
                    {"Origin": "null"}, {"Origin": f"https://{here}"}):  # fmt: skip
        for method in ("GET", "POST"):
            assert ask(server, method, headers=headers, body="{}")[0].status == 403, headers
    for token in ("", "wrong", server.token[:-1], f"{server.token}x", urllib.parse.quote("é")):
        assert ask(server, token=token)[0].status == 403, token
        assert typed(server, "x^2", token=token)[0] == 403, token
    assert typed(server, "x^2", headers={"Origin": f"http://{here}"})[0] == 200


def test_questions_are_small_and_plain(server):
    assert typed(server, "x" * 9000)[0] == 413
    assert ask(server, "POST", body="[]")[0].status == 400
    assert ask(server, "POST", body='{"energy": 1, "methods": ""}')[0].status == 400
    assert ask(server, "POST", body="[" * 8000)[0].status == 400
    assert ask(server, "POST", headers={"Content-Length": "-1"})[0].status == 411
    assert ask(server, "POST", body=iter([b"{}"]), headers={"Transfer-Encoding": "chunked"})[0].status == 411
    assert ask(server, "PUT", body="{}")[0].status == 501
    assert ask(server)[0].headers["Referrer-Policy"] == "no-referrer"


def test_a_server_goes_on_and_keeps_the_latest_pages():
    def make(energy, methods):
        if energy == "broken":
            raise ZeroDivisionError("by\nzero")
        return energy

    made = Server("first", make)
    assert [made.made(str(i), "") for i in range(40)][-1] == "40"
    assert (made.page(""), made.page("1"), made.page("40")) == ("first", None, "39")
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    assert typed(made, "broken") == (500, {"wrong": "ZeroDivisionError: by zero"})
    assert typed(made, "x")[0] == 200
    made.shutdown()
    made.server_close()
    thread.join()


@needs_browser
def test_one_types_a_formula_in_the_page(server):
    with launched() as browser:
        page = browser.new_page()
        said = []
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(server.address)
        field = page.get_by_label("E(x, y) =")
        assert field.input_value() == "x^2 + y^2"
        field.fill("x^2 + zeta(y)")
        field.press("Enter")
        page.locator("#answer.beyond").wait_for()
        assert page.inner_text("#answer").startswith("expression: unknown function 'zeta'; did you mean")
        # A mistake is answered by a status that a browser notes on its console.
        assert all("422" in text for text in said)
        said.clear()
        field.fill("x^2 + 3*y^4")
        field.press("Enter")
        page.wait_for_url(re.compile(r"/\d+(#|$)"))
        assert field.input_value() == "x^2 + 3*y^4"
        assert page.locator(".card").count() == 1
        assert page.evaluate("lab.iterates('gradient_descent', {}, [1, 1], 1)[1]") == pytest.approx([0.8, -0.2])
        assert said == []


@thorough
def test_ctrl_c_ends_it_as_it_should(tmp_path):
    program = "from gradientflow.experiments.cli import main; import sys; sys.argv[0] = 'gradientflow'; main()"
    options = ["lab", "--energy", "x^2+y^2", "--method", "gradient_descent:0.1", "--no-browser"]
    started = subprocess.Popen([sys.executable, "-c", program, *options], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)  # fmt: skip
    assert started.stdout.readline().startswith("page: http://127.0.0.1:")
    started.send_signal(2)
    out, errors = started.communicate(timeout=30)
    assert (started.returncode, out, errors.strip()) == (0, "", "")
