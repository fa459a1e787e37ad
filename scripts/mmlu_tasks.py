"""Write the task files of MMLU's 57 subjects and 5 groups into ``tasks/mmlu/``.

They differ only in a name, so the table below is where to change them; ``tasks/mmlu/_mmlu_base`` is what they
share. Run as ``python scripts/mmlu_tasks.py``.
"""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent.parent / "tasks" / "mmlu"

SUBJECTS = {
    "stem": """
        abstract_algebra anatomy astronomy college_biology college_chemistry
        college_computer_science college_mathematics college_physics computer_security
        conceptual_physics electrical_engineering elementary_mathematics high_school_biology
        high_school_chemistry high_school_computer_science high_school_mathematics
        high_school_physics high_school_statistics machine_learning
    """,
    "other": """
        business_ethics clinical_knowledge college_medicine global_facts human_aging management
        marketing medical_genetics miscellaneous nutrition professional_accounting
        professional_medicine virology
    """,
    "social_sciences": """
        econometrics high_school_geography high_school_government_and_politics
        high_school_macroeconomics high_school_microeconomics high_school_psychology human_sexuality
        professional_psychology public_relations security_studies sociology us_foreign_policy
    """,
    "humanities": """
        formal_logic high_school_european_history high_school_us_history high_school_world_history
        international_law jurisprudence logical_fallacies moral_disputes moral_scenarios philosophy
        prehistory professional_law world_religions
    """,
}

SUBJECT = """\
# MMLU, {words}: see _mmlu_base for source and licence. Written by scripts/mmlu_tasks.py.
include: _mmlu_base
task: mmlu_{name}
task_alias: {name}
tag: mmlu_{area}_tasks
dataset_name: {name}
description: "The following are multiple choice questions (with answers) about {words}.\\n\\n"
"""

AREA = """\
# MMLU, the {count} subjects of the area "{words}"; every question counts the same.
# See _mmlu_base for source and licence. Written by scripts/mmlu_tasks.py.
group: mmlu_{name}
group_alias: {words}
task:
  - mmlu_{name}_tasks
aggregate_metric_list:
  - {{metric: acc, weight_by_size: true}}
metadata:
  version: 2
"""

ALL = """\
# MMLU: multiple choice exam questions of 57 subjects, from school to profession; all 14,042 count the same.
# See _mmlu_base for source and licence. Written by scripts/mmlu_tasks.py.
group: mmlu
task:
{areas}
aggregate_metric_list:
  - {{metric: acc, weight_by_size: true}}
metadata:
  version: 2
"""


def main() -> None:
    """Write all files; what is there is overwritten."""
    for area, listed in SUBJECTS.items():
        subjects = listed.split()
        for name in subjects:
            write(name, SUBJECT.format(name=name, words=name.replace("_", " "), area=area))
        write(area, AREA.format(name=area, words=area.replace("_", " "), count=len(subjects)))
    (FOLDER / "mmlu.yaml").write_text(ALL.format(areas="\n".join(f"  - mmlu_{area}" for area in SUBJECTS)))


def write(name: str, text: str) -> None:
    """Write one task or group file."""
    (FOLDER / f"mmlu_{name}.yaml").write_text(text)


if __name__ == "__main__":
    main()
