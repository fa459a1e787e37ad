"""Write the task files of BIG-Bench Hard into ``tasks/bbh/``: 27 tasks in four variants, and five groups.

The files of a variant differ only in a name, so the tables below are where to change them; the ``_base`` file of each
variant is what they share. Run as ``python scripts/bbh_tasks.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent.parent / "tasks" / "bbh"

TASKS = """
    boolean_expressions causal_judgement date_understanding disambiguation_qa dyck_languages
    formal_fallacies geometric_shapes hyperbaton logical_deduction_five_objects
    logical_deduction_seven_objects logical_deduction_three_objects movie_recommendation
    multistep_arithmetic_two navigate object_counting penguins_in_a_table
    reasoning_about_colored_objects ruin_names salient_translation_error_detection snarks
    sports_understanding temporal_sequences tracking_shuffled_objects_five_objects
    tracking_shuffled_objects_seven_objects tracking_shuffled_objects_three_objects web_of_lies
    word_sorting
"""


@dataclass(frozen=True)
class Variant:
    """One way of asking: ``filters`` names the answer filter whose scores its groups aggregate."""

    words: str
    filters: str | None
    groups: tuple[str, ...]


VARIANTS = {
    "cot_fewshot": Variant("three worked examples", "get-answer", ("bbh", "bbh_cot_fewshot")),
    "cot_zeroshot": Variant("step by step, without examples", "flexible-extract", ("bbh_cot_zeroshot",)),
    "fewshot": Variant("three examples", None, ("bbh_fewshot",)),
    "zeroshot": Variant("without examples", "flexible-extract", ("bbh_zeroshot",)),
}

TASK = """\
# BIG-Bench Hard, {words}, {how}.
# See _bbh_base for source and licence. Written by scripts/bbh_tasks.py.
include: ["lm_eval:bbh/{variant}/{name}.yaml", _bbh_{variant}_base]
task: bbh_{variant}_{name}
dataset_name: {name}
"""

GROUP = """\
# BIG-Bench Hard, {how}: the 27 tasks; every question counts the same.
# See _bbh_base for source and licence. Written by scripts/bbh_tasks.py.
group: {group}
task:
{members}
aggregate_metric_list:
  - {{metric: exact_match, {filters}weight_by_size: true}}
metadata:
  version: 3.0
"""


def main() -> None:
    """Write all files; what is there is overwritten."""
    for name, variant in VARIANTS.items():
        for task in TASKS.split():
            text = TASK.format(variant=name, name=task, words=task.replace("_", " "), how=variant.words)
            (FOLDER / f"bbh_{name}_{task}.yaml").write_text(text)
        for group in variant.groups:
            (FOLDER / f"{group}.yaml").write_text(group_file(group, name, variant))


def group_file(group: str, name: str, variant: Variant) -> str:
    """Return the text of one group file."""
    return GROUP.format(
        group=group,
        how=variant.words,
        variant=name,
        members="\n".join(f"  - bbh_{name}_{task}" for task in TASKS.split()),
        filters=f"filter_list: {variant.filters}, " if variant.filters else "",
    )


if __name__ == "__main__":
    main()
