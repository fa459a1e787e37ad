"""The options of baselines: what a run is compared with, and what it may record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_lmeval.backends.spec import ModelSpec
from pytest_lmeval.baselines.update import Update
from pytest_lmeval.errors import ModelSpecError, SettingsError
from pytest_lmeval.options.option import FALSE, TRUE, Option, boolean, integer

#: As it stands on the command line, and what it means without a value.
UPDATE_BASELINE, CHANGED = "--lm-update-baseline", Update.CHANGED.value

BASELINE_OPTIONS = (
    Option(
        "baseline",
        "NAME|PATH|BACKEND:MODEL",
        "compare with baselines/NAME, a folder, a file of published scores, lm-eval's output, or another model",
    ),
    Option(
        "update-baseline", "new|changed|all", "write the baselines of the tasks that run (bare: changed)", "changed"
    ),
    Option("accept-regression", None, "let an update replace a baseline by a lower score"),
    Option("force", None, "let an update write under CI, too"),
    Option("calibrate", "K", "while recording, ask K times more and record how much answers vary by themselves"),
)
_PUBLISHED = (".yaml", ".yml", ".json")


@dataclass(frozen=True, slots=True)
class Stored:
    """Baselines of an earlier run: ``folder``, or the model's own where that is None."""

    folder: Path | None = None


@dataclass(frozen=True, slots=True)
class Published:
    """A file of scores that somebody published, without documents."""

    path: Path


@dataclass(frozen=True, slots=True)
class Harness:
    """What a run of lm-evaluation-harness left: its results file, or a folder that has one."""

    path: Path


@dataclass(frozen=True, slots=True)
class Arm:
    """Another model, asked the same in the same run."""

    model: ModelSpec


#: What a run may be compared with.
Against = Stored | Published | Harness | Arm


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineSettings:
    """``against`` is what the run is compared with; ``required`` that a missing baseline is an error."""

    against: Against = Stored()
    update: Update | None = None
    accept_regression: bool = False
    force: bool = False
    calibrate: int = 0
    required: bool = False


def read_baseline_settings(
    given: Mapping[str, Any], environment: Mapping[str, str], *, root: Path, invoked: Path
) -> BaselineSettings:
    """Read what was given; baselines lie below ``root``, paths start where the run was ``invoked``.

    Raises SettingsError, also for an update under CI that is not forced.
    """
    in_ci = environment.get("CI", "").lower() not in FALSE
    update = _update(given["update-baseline"])
    force = boolean("force", given["force"])
    if update is not None and in_ci and not force:
        raise SettingsError(
            "--lm-update-baseline: refused under CI, where it would accept whatever it is shown. Record on your "
            "machine and commit the file, or add --lm-force"
        )
    calibrate = integer("calibrate", given["calibrate"]) or 0
    if calibrate and update is None:
        raise SettingsError("--lm-calibrate: goes with --lm-update-baseline, whose baselines it describes")
    against = _against(given["baseline"], root, invoked)
    if update is not None and not isinstance(against, Stored):
        raise SettingsError(
            f"--lm-update-baseline: there is no file to record to with --lm-baseline={given['baseline']}. Leave that "
            "out to record the model under test"
        )
    return BaselineSettings(
        against=against,
        update=update,
        accept_regression=boolean("accept-regression", given["accept-regression"]),
        force=force,
        calibrate=calibrate,
        required=in_ci,
    )


def _update(text: str | None) -> Update | None:
    if not text or text.lower() in FALSE:
        return None
    if text.lower() in TRUE:
        return Update.CHANGED
    if text not in list(Update):
        raise SettingsError(f"--lm-update-baseline={text}: expected new, changed or all")
    return Update(text)


def _against(text: str | None, root: Path, invoked: Path) -> Against:
    """Tell a name, a folder, a file and a model apart: a model has a colon, a path a separator or an ending."""
    if not text:
        return Stored()
    from pytest_lmeval.exchange.layout import is_output

    path = invoked / Path(text).expanduser()
    if (path.is_file() or _is_path(text)) and is_output(path):
        return Harness(path)
    if path.suffix in _PUBLISHED:
        if not path.is_file():
            raise SettingsError(f"--lm-baseline={text}: there is no file {path}")
        return Published(path)
    if path.is_dir() and _is_path(text):
        return Stored(path)
    if ":" in text or "," in text:
        try:
            return Arm(ModelSpec.parse(text, option="--lm-baseline"))
        except ModelSpecError as error:
            raise SettingsError(str(error)) from None
    if _is_path(text):
        raise SettingsError(f"--lm-baseline={text}: there is no folder {path}")
    from pytest_lmeval.baselines.location import safe_name

    return Stored(root / safe_name(text))


def _is_path(text: str) -> bool:
    return "/" in text or "\\" in text
