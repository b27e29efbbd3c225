"""`zoo dashboard`: the workspace of a W&B project as code. Needs wandb-workspaces, and a network only to save."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from trainers import ladder
from trainers.config_groups import FOLDER
from trainers.inspection.model import FIGURES
from trainers.usage import UsageError

NAME = "Algorithm zoo"
BASELINES = FOLDER.parent / "docs" / "BASELINES.md"
_STEP = "step"
_PROCESSOR = "processor_name"
_PICTURES = ("pictures", "inspect")  # where a run's end and `zoo inspect` put them
_COLUMNS = ("config:processor_name", "config:task_name", "config:seed", "summary:val/score", "summary:parameters")


def dashboard(*, project: str, entity: str | None, save: bool, output: str | None, baselines: str | None) -> int:
    """The command: print or write the workspace's spec, or save it in W&B.

    Args:
        project: W&B project.
        entity: W&B user or team; None is the account's own.
        save: whether to save it online, as a new view of the project; that needs an account.
        output: file for the spec; None prints it.
        baselines: Markdown file with the baselines' table; None is the repository's own, if there is one.

    Returns:
        The exit code.

    Raises:
        UsageError: wandb-workspaces is not installed, no such file, or W&B refused.
    """
    made = workspace(project=project, entity=entity or "", baselines=_markdown(baselines))
    if save:
        print(f"W&B         {_save(made)}")
        return 0
    text = json.dumps(spec(made), indent=2, ensure_ascii=False)
    if output is None:
        print(text)
    else:
        try:
            Path(output).write_text(text + "\n", encoding="utf-8")
        except OSError as error:
            raise UsageError(f"cannot write {output}: {error}", "choose another: --output FILE") from error
    print("zoo: nothing was uploaded; to save this workspace in W&B: zoo dashboard --save", file=sys.stderr)
    return 0


def workspace(*, project: str, entity: str = "", baselines: str = "") -> Any:
    """The workspace, built without a network.

    Args:
        project: W&B project.
        entity: W&B user or team.
        baselines: Markdown of the baselines' table; without it there is no such section.

    Returns:
        A `wandb_workspaces.workspaces.Workspace`.

    Raises:
        UsageError: wandb-workspaces is not installed.
    """
    try:
        import wandb_workspaces.reports.v2 as panels
        from wandb_workspaces import workspaces
    except ImportError as error:
        raise UsageError(
            "zoo dashboard needs wandb-workspaces, which is not installed", "pip install 'algorithm-zoo[dashboard]'"
        ) from error

    def section(name: str, content: Iterable[Any], *, columns: int = 2, rows: int = 1) -> Any:
        layout = workspaces.SectionLayoutSettings(columns=columns, rows=rows)
        return workspaces.Section(name=name, panels=list(content), is_open=True, layout_settings=layout)

    sections = [
        section("Size generalisation by processor", _size_panels(panels)),
        section("Probes", _probe_panels(panels), rows=2),
        section("Memory and pointers", _picture_panels(panels), columns=3, rows=2),
        section("Gradients and throughput", _training_panels(panels), rows=2),
        section("Scores", [panels.WeavePanelSummaryTable(table_name="scores")], columns=1),
    ]
    if baselines:
        sections.append(section("Baselines", [panels.MarkdownPanel(markdown=baselines)], columns=1))
    return workspaces.Workspace(
        entity=entity,
        project=project,
        name=NAME,
        sections=sections,
        settings=workspaces.WorkspaceSettings(x_axis=_STEP, max_runs=50),
        runset_settings=workspaces.RunsetSettings(pinned_columns=list(_COLUMNS)),
    )


def spec(made: Any) -> dict[str, Any]:
    """What W&B's server would get: plain data."""
    view = made._to_model()
    content = json.loads(view.spec.model_dump_json(by_alias=True, exclude_none=True))
    return {"entity": made.entity, "project": made.project, "name": made.name, "spec": content}


def _size_panels(panels: Any) -> list[Any]:
    """Mean and deviation over the runs of a processor, a line a distribution."""
    titles = {"score": "score", "exact": "share of samples with every output right"}
    return [
        panels.LinePlot(
            title=f"{titles[measure]} over n",
            x=ladder.AXIS,
            metric_regex=f"^{ladder.curve(measure, '.*')}$",
            log_x=True,
            title_x="n",
            groupby=panels.Config(_PROCESSOR),
            groupby_aggfunc="mean",
            groupby_rangefunc="stddev",
            max_runs_to_show=100,
        )
        for measure in ladder.MEASURES
    ]


def _probe_panels(panels: Any) -> list[Any]:
    """Held-out score and loss of every probe while training."""
    return [
        panels.LinePlot(title="validation score by probe", x=_STEP, metric_regex="^val/score/.*$"),
        panels.LinePlot(title="training loss by probe", x=_STEP, metric_regex="^train/loss/.*$"),
        panels.LinePlot(title="validation score", x=_STEP, y=["val/score"], groupby=panels.Config(_PROCESSOR)),
        panels.LinePlot(
            title="training loss", x=_STEP, y=["train/loss"], log_y=True, groupby=panels.Config(_PROCESSOR)
        ),
    ]


def _picture_panels(panels: Any) -> list[Any]:
    """What runs and `zoo inspect` draw: each kind of picture over runs, where it was drawn."""
    pointers = [f"pointers/{name}" for name in _pointer_probes()]
    kinds = {name.replace("_", " "): [name] for name in FIGURES} | {"pointers": pointers}
    browsers = [
        panels.MediaBrowser(title=kind, media_keys=[f"{place}/{name}" for place in _PICTURES for name in names])
        for kind, names in kinds.items()
    ]
    return [panels.MediaBrowser(title="size generalisation", media_keys=["size_generalisation"]), *browsers]


def _training_panels(panels: Any) -> list[Any]:
    """Whether training is healthy, and how fast it is."""
    return [
        panels.LinePlot(title="gradient norm", x=_STEP, y=["train/grad_norm"], log_y=True),
        panels.LinePlot(title="learning rate", x=_STEP, y=["train/lr"]),
        panels.LinePlot(title="samples per second", x=_STEP, y=["train/samples_per_second"]),
        panels.LinePlot(title="milliseconds a step", x=_STEP, y=["train/step_ms"], log_y=True),
    ]


def _pointer_probes() -> list[str]:
    """Outputs of any task that point from node to node: what pictures of pointers are named for."""
    import tasks

    specs = [tasks.create(name).spec for name in tasks.list_tasks(ready=True)]
    return sorted({probe.name for one in specs for probe in one.outputs if probe.is_pointer})


def _markdown(path: str | None) -> str:
    """The baselines' table, without pictures, which the server could not find."""
    file = BASELINES if path is None else Path(path)
    if not file.is_file():
        if path is not None:
            raise UsageError(f"--baselines {path}: no such file", "give a Markdown file, or leave the option out")
        return ""
    lines = file.read_text(encoding="utf-8").splitlines()
    return "\n".join(line for line in lines if not line.lstrip().startswith("!["))


def _save(made: Any) -> str:
    """Save as a new view; its address."""
    import wandb

    try:
        made.entity = made.entity or wandb.Api().default_entity
        made.save()
    except (wandb.Error, OSError, ValueError, TypeError) as error:
        raise UsageError.of(
            error, where="W&B did not save the workspace", remedy="log in with `wandb login`; --entity and --project"
        ) from error
    return str(made.url)
