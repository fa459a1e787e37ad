"""Write the task files of MMLU-Pro's 14 subjects and their group into ``tasks/mmlu_pro/``.

They differ only in a name; ``tasks/mmlu_pro/_mmlu_pro_base`` is what they share. Run as
``python scripts/mmlu_pro_tasks.py``.
"""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent.parent / "tasks" / "mmlu_pro"

SUBJECTS = """
    biology business chemistry computer_science economics engineering health history law math other
    philosophy physics psychology
"""

SUBJECT = """\
# MMLU-Pro, {words}: see _mmlu_pro_base for source and licence. Written by scripts/mmlu_pro_tasks.py.
include: ["lm_eval:mmlu_pro/mmlu_pro_{name}.yaml", _mmlu_pro_base]
task: mmlu_pro_{name}
task_alias: {name}
process_docs: !function mmlu_pro_docs.{name}
"""

GROUP = """\
# MMLU-Pro: multiple choice questions of 14 subjects with up to ten answers, reasoned step by step; all count the same.
# See _mmlu_pro_base for source and licence. Written by scripts/mmlu_pro_tasks.py.
group: mmlu_pro
task:
{members}
aggregate_metric_list:
  - {{metric: exact_match, filter_list: custom-extract, weight_by_size: true}}
metadata:
  version: 2.0
"""


def main() -> None:
    """Write all files; what is there is overwritten."""
    for name in SUBJECTS.split():
        text = SUBJECT.format(name=name, words=name.replace("_", " "))
        (FOLDER / f"mmlu_pro_{name}.yaml").write_text(text)
    members = "\n".join(f"  - mmlu_pro_{name}" for name in SUBJECTS.split())
    (FOLDER / "mmlu_pro.yaml").write_text(GROUP.format(members=members))


if __name__ == "__main__":
    main()
