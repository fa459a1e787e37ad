"""Write the task files of benchmark families with many members, one small file each, and their groups.

What a family's members share stands in its ``_…_base`` file, written by hand; ``family_names.py`` says which there are.
Run as ``python scripts/benchmark_families.py``; what is there is overwritten.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import family_names as names

TASKS = Path(__file__).parent.parent / "tasks"

WRITTEN = "Written by scripts/benchmark_families.py."


def main() -> None:
    """Write all families."""
    blimp()
    xnli()
    xcopa()
    languages("xwinograd", "XWinograd", names.XWINOGRAD.split())
    languages("xstorycloze", "XStoryCloze", names.XSTORYCLOZE.split())
    belebele()
    subjects("ceval", "ceval-valid", "C-Eval", names.CEVAL, CEVAL_DESCRIPTION, version=2.0)
    subjects("cmmlu", "cmmlu", "CMMLU", names.CMMLU, CMMLU_DESCRIPTION, version=1.0)
    arithmetic()
    crows_pairs()
    gpqa()
    leaderboard_bbh()


CEVAL_DESCRIPTION = "以下是中国关于{subject}的单项选择题，请选出其中的正确答案。\n\n"
CMMLU_DESCRIPTION = "以下是关于{subject}的单项选择题，请直接给出正确答案的选项。\n\n"


def blimp() -> None:
    """BLiMP, by phenomenon; each counts the same."""
    for name in names.BLIMP.split():
        leaf("blimp", f"blimp_{name}", f"BLiMP, {words(name)}", dataset_name=name)
    members = [f"blimp_{name}" for name in names.BLIMP.split()]
    group("blimp", "blimp", "BLiMP, its 67 phenomena; each counts the same", members, weighted=False, version=2.0)


def xnli() -> None:
    """XNLI, by language."""
    for code, (question, *labels) in names.XNLI.items():
        choices = ", ".join(f"premise ~ ', {question}? {label}, ' ~ hypothesis" for label in labels)
        leaf(
            "xnli",
            f"xnli_{code}",
            f"XNLI in {names.LANGUAGES[code]}",
            dataset_name=code,
            doc_to_choice=f"{{{{[{choices}]}}}}",
        )
    language_group("xnli", "XNLI", names.XNLI)


def xcopa() -> None:
    """XCOPA, by language."""
    for code, (because, therefore) in names.XCOPA.items():
        connective = f"{{{{'{because}' if question == 'cause' else '{therefore}'}}}}"
        leaf(
            "xcopa",
            f"xcopa_{code}",
            f"XCOPA in {names.LANGUAGES[code]}",
            dataset_name=code,
            doc_to_text=f"{{{{premise.strip()[:-1]}}}} {connective}",
        )
    language_group("xcopa", "XCOPA", names.XCOPA)


def languages(family: str, title: str, codes: Iterable[str]) -> None:
    """Write a family whose members differ in nothing but the language."""
    for code in codes:
        leaf(family, f"{family}_{code}", f"{title} in {names.LANGUAGES[code]}", dataset_name=code)
    language_group(family, title, codes)


def language_group(family: str, title: str, codes: Iterable[str]) -> None:
    """Write the group over a family's languages."""
    members = [f"{family}_{code}" for code in codes]
    group(family, family, f"{title}, its {len(members)} languages; every item counts the same", members)


def belebele() -> None:
    """Belebele, by language and script."""
    codes = names.BELEBELE.split()
    for code in codes:
        leaf("belebele", f"belebele_{code}", f"Belebele, {code}", dataset_name=code)
    title = "Belebele, its 122 languages and scripts; every question counts the same"
    members = [f"belebele_{code}" for code in codes]
    group("belebele", "belebele", title, members, metrics=("acc", "acc_norm"), version=0.1)


def subjects(
    family: str, prefix: str, title: str, listed: Mapping[str, str], description: str, *, version: float
) -> None:
    """Write a family of Chinese exam subjects; the prompt names the subject."""
    for name, chinese in listed.items():
        leaf(
            family,
            f"{prefix}_{name}",
            f"{title}, {words(name)}",
            dataset_name=name,
            description=description.format(subject=chinese),
        )
    members = [f"{prefix}_{name}" for name in listed]
    title = f"{title}, its {len(members)} subjects; every question counts the same"
    group(family, prefix, title, members, metrics=("acc", "acc_norm"), version=version)


def arithmetic() -> None:
    """Arithmetic, by kind of sum; a tag and no group."""
    for name, file in names.ARITHMETIC.items():
        path = f"hf://datasets/EleutherAI/arithmetic/data/{file}.jsonl"
        leaf(
            "arithmetic",
            f"arithmetic_{name}",
            f"Arithmetic, {words(file)}",
            dataset_kwargs={"data_files": {"validation": path}},
        )


def crows_pairs() -> None:
    """CrowS-Pairs in two languages, whole and by kind of bias; a tag and no group."""
    for language in ("english", "french"):
        task, title = f"crows_pairs_{language}", f"CrowS-Pairs in {language.capitalize()}"
        leaf("crows_pairs", task, title, dataset_name=language)
        for bias in names.CROWS_PAIRS.split():
            write(
                "crows_pairs",
                f"{task}_{bias}",
                f"# {title}, bias {words(bias)}. See _crows_pairs_base for source and licence.\n# {WRITTEN}\n"
                f"include: _crows_pairs_base\ntask: {task}_{bias}\ndataset_name: {language}\n"
                f"process_docs: !function crows_pairs_docs.{bias}\n",
            )


def gpqa() -> None:
    """GPQA, by part and by prompt, and the leaderboard's group."""
    for part in ("diamond", "extended", "main"):
        for prompt in ("zeroshot", "n_shot"):
            title = f"GPQA, {part}, {words(prompt)}"
            leaf("gpqa", f"gpqa_{part}_{prompt}", title, base=f"_{prompt}_base", dataset_name=f"gpqa_{part}")
        title = f"GPQA, {part}, as the Open LLM Leaderboard 2 asked it"
        leaf("gpqa", f"leaderboard_gpqa_{part}", title, base="_leaderboard_base", dataset_name=f"gpqa_{part}")
    members = [f"leaderboard_gpqa_{part}" for part in ("diamond", "extended", "main")]
    title = "GPQA as the Open LLM Leaderboard 2 asked it; every question counts the same"
    group("gpqa", "leaderboard_gpqa", title, members, metrics=("acc_norm",), version=None)


def leaderboard_bbh() -> None:
    """BIG-Bench Hard with choices; its examples are read from the installed lm-evaluation-harness."""
    listed = names.LEADERBOARD_BBH.split()
    for name in listed:
        write(
            "leaderboard",
            f"leaderboard_bbh_{name}",
            f"# BIG-Bench Hard with choices, {words(name)}. See leaderboard_bbh.yaml for source and licence.\n"
            f"# {WRITTEN}\ninclude: lm_eval:leaderboard/bbh_mc/{name}.yaml\ntask: leaderboard_bbh_{name}\n",
        )
    members = "".join(f"  - leaderboard_bbh_{name}\n" for name in listed)
    write("leaderboard", "leaderboard_bbh", LEADERBOARD_BBH.format(members=members, count=len(listed), written=WRITTEN))


LEADERBOARD_BBH = """\
# BIG-Bench Hard with choices: {count} tasks that were hard for language models, as the Open LLM Leaderboard 2 asked
# them, with three examples each; every question counts the same. Multiple choice, 3 shots.
# source: SaylorTwift/bbh, one configuration per task, test split
# licence: the card names none; the authors' release is MIT
# paper: "Challenging BIG-Bench Tasks and Whether Chain-of-Thought Can Solve Them", Suzgun et al., Findings of ACL 2023
# (arXiv 2210.09261)
# needs: lm-eval==0.4.13, for the examples
# {written}
group: leaderboard_bbh
task:
{members}aggregate_metric_list:
  - {{metric: acc_norm, weight_by_size: true}}
"""


def leaf(folder: str, task: str, title: str, *, base: str = "", **keys: object) -> None:
    """Write one task: what it adds to the family's base."""
    base = base or f"_{folder}_base"
    source = base if base == f"_{folder}_base" else f"_{folder}_base"
    lines = "".join(f"{key}: {scalar(value)}\n" for key, value in keys.items())
    header = f"# {title}. See {source} for source and licence.\n# {WRITTEN}\n"
    write(folder, task, f"{header}include: {base}\ntask: {task}\n{lines}")


def group(
    folder: str,
    name: str,
    title: str,
    members: Iterable[str],
    *,
    metrics: Iterable[str] = ("acc",),
    weighted: bool = True,
    version: float | None = 1.0,
) -> None:
    """Write one group: the mean of each metric, by document or by task."""
    listed = "".join(f"  - {member}\n" for member in members)
    weight = str(weighted).lower()
    means = "".join(f"  - {{metric: {metric}, weight_by_size: {weight}}}\n" for metric in metrics)
    metadata = "" if version is None else f"metadata:\n  version: {version}\n"
    header = f"# {title}. See _{folder}_base for source and licence.\n# {WRITTEN}\n"
    write(folder, name, f"{header}group: {name}\ntask:\n{listed}aggregate_metric_list:\n{means}{metadata}")


def words(name: str) -> str:
    """Return a name as it is read."""
    return name.replace("_", " ")


def scalar(value: object) -> str:
    """Return a value as YAML: a plain word, else JSON, which is YAML too."""
    # `no` would be read as false.
    plain = isinstance(value, str) and value.replace("_", "").isalnum() and value.isascii() and value != "no"
    return str(value) if plain else json.dumps(value, ensure_ascii=False)


def write(folder: str, name: str, text: str) -> None:
    """Write one file."""
    (TASKS / folder / f"{name}.yaml").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
