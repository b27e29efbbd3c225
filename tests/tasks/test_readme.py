"""The README's recipe for a new task works as written: one module, one YAML, one import line."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

import tasks

ROOT = Path(__file__).parent.parent.parent
README = (ROOT / "tasks" / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_usage_example_runs() -> None:
    exec(compile(blocks("python")[0], "README", "exec"), {})


def test_table_names_every_task() -> None:
    table = "".join(line for line in README.splitlines() if line.startswith("| `"))
    assert sorted(re.findall(r"`(\w+)`", table)) == tasks.list_tasks()


def test_a_new_task_is_one_module_one_yaml_and_one_import_line(tmp_path: Path) -> None:
    package = tmp_path / "tasks"
    shutil.copytree(ROOT / "tasks", package, ignore=shutil.ignore_patterns("__pycache__"))
    (package / "sequences" / "parity.py").write_text(blocks("python")[1], encoding="utf-8")
    line = re.search(r"`(from tasks\.sequences import parity)`", README)
    assert line is not None
    with (package / "sequences" / "__init__.py").open("a", encoding="utf-8") as file:
        file.write(line[1] + "\n")
    options = yaml.safe_load(blocks("yaml")[0])
    code = f"""
import tasks, torch
task = tasks.create(**{options!r})
assert "parity" in tasks.list_tasks() and tasks.describe("parity").summary.startswith("Parity")
assert task.execute({{"bits": [[0, 1, 1, 1]]}}).outputs["odd"].tolist() == [True]
batch = task.sample(size=[3, 5], batch_size=8)
assert torch.equal(batch.outputs["odd"], batch.inputs["bits"].sum(1) % 2 == 1)
assert torch.equal(task.sample(size=[3, 5], batch_size=4, index=4).outputs["odd"], batch.outputs["odd"][4:])
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
