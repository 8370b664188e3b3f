import subprocess
import sys
from pathlib import Path

import soravec

ROOT = Path(__file__).parents[1]


def test_every_public_name_loads_and_all_is_sorted():
    assert sorted(soravec.__all__) == soravec.__all__
    for name in soravec.__all__:
        assert getattr(soravec, name).__module__.startswith("soravec.")


def test_an_unknown_name_is_an_attribute_error():
    assert not hasattr(soravec, "Libary")


def test_importing_the_package_and_the_command_line_loads_nothing_heavy():
    code = "import soravec, soravec.cli, sys; print(*sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"numpy", "av", "openvino", "onnxruntime", "lancedb", "pyarrow", "torch", "rich.live"}
    heavy |= {"sklearn", "scipy"}
    assert heavy.isdisjoint(out.stdout.split())


def test_no_file_is_longer_than_500_lines():
    files = [p for folder in ("src", "tests", "benchmarks") for p in (ROOT / folder).rglob("*.py")]
    assert [f"{p}" for p in files if len(p.read_text().splitlines()) > 500] == []


def test_only_the_training_side_imports_torch():
    layers = ("errors.py", "types.py", "process.py", "video", "runtime", "library", "cli")
    files = [
        p
        for layer in layers
        for p in [ROOT / "src/soravec" / layer, *(ROOT / "src/soravec" / layer).rglob("*.py")]
        if p.suffix == ".py"
    ]
    assert len(files) > 30
    offenders = [p for p in files if "import torch" in p.read_text()]
    assert offenders == []


def test_one_third_party_one_edge():
    homes = {
        "av": "video/",
        "openvino": "runtime/engine.py",
        "onnxruntime": "runtime/engine.py",
        "lancedb": "library/lance.py",
        "typer": "cli/",
    }
    for path in (ROOT / "src/soravec").rglob("*.py"):
        where = path.relative_to(ROOT / "src/soravec").as_posix()
        if where.startswith(("training/", "models/")):
            continue
        for line in path.read_text().splitlines():
            words = line.split()
            if len(words) > 1 and words[0] in ("import", "from"):
                package = words[1].split(".")[0]
                assert where.startswith(homes.get(package, where)), f"{where}: {line}"
