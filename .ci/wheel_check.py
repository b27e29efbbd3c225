"""Build the wheel, look into it, install it in a clean environment and try it from another folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("zoo", "tasks", "trainers", "configs")


def build(folder: Path) -> Path:
    """The wheel of the working tree, built by the backend that the development environment holds."""
    shutil.rmtree(ROOT / "build", ignore_errors=True)  # a file deleted since would come back from there
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    [wheel] = folder.glob("*.whl")
    return wheel


def check_contents(wheel: Path) -> None:
    """Every tracked file of the four packages that is not documentation for developers is in it, and nothing else."""
    names = set(zipfile.ZipFile(wheel).namelist())
    tops = {name.split("/")[0] for name in names if ".dist-info/" not in name}
    assert tops == set(PACKAGES), f"top-level names of the wheel: {sorted(tops)}"
    tracked = subprocess.run(
        ["git", "ls-files", "--cached", *PACKAGES], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.split()
    kinds = (".py", ".yaml", ".safetensors", ".js", ".css")
    missing = [name for name in tracked if name.endswith(kinds) and name not in names]
    assert not missing, f"tracked, but not in the wheel: {missing}"
    assert any(name.startswith("configs/") and name.endswith(".yaml") for name in names), "no configs in the wheel"
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names), "no license in the wheel"


def install(wheel: Path, folder: Path) -> Path:
    """A clean environment with the wheel and its pinned dependencies; its folder of programs."""
    venv.create(folder, with_pip=False)
    programs = folder / "bin"
    # pip of this environment, or of the one that made it, on the other's interpreter.
    pip = [sys.executable, "-m", "pip"]
    if subprocess.run([*pip, "--version"], capture_output=True).returncode:
        pip = [os.path.realpath(sys.executable), "-m", "pip"]
    options = ["--quiet", "--disable-pip-version-check", "-c", str(ROOT / "constraints.txt")]
    subprocess.run([*pip, "--python", str(programs / "python"), "install", *options, str(wheel)], check=True)
    return programs


def try_out(programs: Path, folder: Path) -> None:
    """The commands answer away from the repository, from the installed files, with every config's name."""
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}

    def run(*command: str) -> str:
        return subprocess.run(
            command, cwd=folder, env=environment, check=True, stdout=subprocess.PIPE, text=True
        ).stdout

    listing = run(str(programs / "zoo"), "list")
    for group in ("processor", "task"):
        for path in (ROOT / "configs" / group).glob("*.yaml"):
            assert path.stem in listing.split(), f"`zoo list` does not name the {group} {path.stem}:\n{listing}"
    run(str(programs / "zoo"), "--help")
    rows = run(str(programs / "zoo"), "reproduce", "--list")
    for path in (ROOT / "configs" / "baseline").glob("*.yaml"):
        assert path.stem in rows, f"`zoo reproduce --list` does not name {path.stem}:\n{rows}"
    load = "import zoo; [zoo.load_pretrained(name) for name in zoo.list_pretrained()]; print(*zoo.list_pretrained())"
    weights = run(str(programs / "python"), "-c", load).split()
    assert set(weights) == {path.stem for path in (ROOT / "zoo" / "pretrained").glob("*.safetensors")}, weights
    where = run(str(programs / "python"), "-c", f"import {', '.join(PACKAGES)}; print(zoo.__file__)")
    assert Path(where.strip()).is_relative_to(programs.parent.resolve()), where


def main() -> None:
    """Run the whole check; the first thing that does not hold raises."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        wheel = build(folder / "dist")
        check_contents(wheel)
        programs = install(wheel, folder / "environment")
        (folder / "elsewhere").mkdir()
        try_out(programs, folder / "elsewhere")
        print(f"wheel: {wheel.name} holds {', '.join(PACKAGES)}; installed and tried from another folder")


if __name__ == "__main__":
    main()
