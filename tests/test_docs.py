import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from soravec import errors
from soravec.cli import app
from tests.library.conftest import write_scenes

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What the examples of the documentation name."""
    folder = tmp_path_factory.mktemp("docs")
    write_scenes(folder / "match.mp4", [(0, 3.0), (4, 3.0)])
    write_scenes(folder / "videos" / "a.mp4", [(1, 3.0)], seed=3)
    (folder / "query.mp4").write_bytes((folder / "match.mp4").read_bytes())
    return folder


def examples():
    for page in PAGES:
        for number, code in enumerate(re.findall(r"```python\n(.*?)```", page.read_text(), re.S)):
            yield pytest.param(code, id=f"{page.name}-{number}")


@pytest.mark.parametrize("code", list(examples()))
def test_the_examples_run(folder, code):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        cwd=folder,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_readme_shows_code_early():
    lines = (ROOT / "README.md").read_text().splitlines()
    assert "import soravec" in lines[:36]
    assert "make demo" in "\n".join(lines[:36])


def test_every_link_leads_somewhere():
    pages = [*PAGES, *ROOT.glob("*.md"), ROOT / "benchmarks/README.md"]
    for page in pages:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_every_command_and_option_is_documented():
    text = "\n".join(page.read_text() for page in PAGES)
    for name, command in typer.main.get_command(app).commands.items():
        assert f"soravec {name}" in text, name
        for child in getattr(command, "commands", {}):
            assert re.search(rf"soravec {name} [^\n]*{child}", text), (name, child)


def test_every_error_stands_in_the_tree():
    names = [n for n, o in vars(errors).items() if inspect.isclass(o) and issubclass(o, Exception)]
    assert len(names) > 10
    for name in names:
        assert re.search(rf"(─ |^){name}\b", errors.__doc__, re.M), name


@pytest.mark.parametrize("name", sorted(p.stem for p in (ROOT / "benchmarks").glob("*.py")))
def test_every_benchmark_shows_its_help(name):
    script = ROOT / "benchmarks" / f"{name}.py"
    done = subprocess.run(
        [sys.executable, script, "--help"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert name in (ROOT / "benchmarks/README.md").read_text()
