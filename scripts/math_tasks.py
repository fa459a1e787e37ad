"""Write the task files of MATH's seven subjects in three families, and the families' groups.

``tasks/minerva_math``: four worked examples; ``tasks/hendrycks_math``: none; ``tasks/leaderboard``: the hardest
problems. The ``_base`` file of each is what its subjects share. Run as ``python scripts/math_tasks.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

TASKS = Path(__file__).parent.parent / "tasks"

# The dataset's configuration for each subject, by the name that the tasks have.
SUBJECTS = {
    "algebra": "algebra",
    "counting_and_prob": "counting_and_probability",
    "geometry": "geometry",
    "intermediate_algebra": "intermediate_algebra",
    "num_theory": "number_theory",
    "prealgebra": "prealgebra",
    "precalc": "precalculus",
}


@dataclass(frozen=True)
class Family:
    """One way of asking; ``task`` and ``include`` are patterns of a subject's name, ``aggregates`` its metrics."""

    folder: str
    base: str
    task: str
    words: str
    include: str
    group: str
    aggregates: tuple[str, ...]
    version: str
    precalc: str = "precalc"

    def subjects(self) -> list[tuple[str, str]]:
        """Return each subject's name in this family and its configuration."""
        return [(self.precalc if name == "precalc" else name, config) for name, config in SUBJECTS.items()]


FAMILIES = (
    Family(
        folder="minerva_math",
        base="_minerva_math_base",
        task="minerva_math_{}",
        words="four worked examples",
        include='["lm_eval:minerva_math/minerva_math_{}.yaml", _minerva_math_base]',
        group="minerva_math",
        aggregates=("exact_match", "math_verify"),
        version="metadata:\n  version: 1.0\n",
    ),
    Family(
        folder="hendrycks_math",
        base="_hendrycks_math_base",
        task="hendrycks_math_{}",
        words="without examples",
        include="_hendrycks_math_base",
        group="hendrycks_math",
        aggregates=("exact_match",),
        version="metadata:\n  version: 1.0\n",
    ),
    Family(
        folder="leaderboard",
        base="_math_hard_base",
        task="leaderboard_math_{}_hard",
        words="the hardest problems",
        include='["lm_eval:leaderboard/math/math_{}.yaml", _math_hard_base]',
        group="leaderboard_math_hard",
        aggregates=("exact_match",),
        version="",
        precalc="precalculus",
    ),
)

SUBJECT = """\
# MATH, {subject}, {words}.
# See {base} for source and licence. Written by scripts/math_tasks.py.
include: {include}
task: {task}
dataset_name: {config}
"""

GROUP = """\
# MATH, {words}: seven subjects; every problem counts the same.
# See {base} for source and licence. Written by scripts/math_tasks.py.
group: {group}
task:
{members}
aggregate_metric_list:
{aggregates}
{version}"""


def main() -> None:
    """Write all files; what is there is overwritten."""
    for family in FAMILIES:
        for name, config in family.subjects():
            write(family, family.task.format(name), subject_file(family, name, config))
        write(family, family.group, group_file(family))


def write(family: Family, name: str, text: str) -> None:
    """Write one task or group file."""
    (TASKS / family.folder / f"{name}.yaml").write_text(text)


def subject_file(family: Family, name: str, config: str) -> str:
    """Return the text of one task file."""
    return SUBJECT.format(
        subject=config.replace("_", " "),
        words=family.words,
        base=family.base,
        include=family.include.format(name),
        task=family.task.format(name),
        config=config,
    )


def group_file(family: Family) -> str:
    """Return the text of the family's group file."""
    return GROUP.format(
        words=family.words,
        base=family.base,
        group=family.group,
        members="\n".join(f"  - {family.task.format(name)}" for name, _ in family.subjects()),
        aggregates="\n".join(f"  - {{metric: {name}, weight_by_size: true}}" for name in family.aggregates),
        version=family.version,
    )


if __name__ == "__main__":
    main()
