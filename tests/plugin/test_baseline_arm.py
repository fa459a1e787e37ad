"""Whole runs against another model: what is asked of which, in which order, and what is said where it fails."""

from __future__ import annotations

from collections import Counter

import pytest

from .conftest import Run
from .project import ALL_ITEMS, Project, text_of

PAIR = ("--lm-model=pupil,knows=3", "--lm-baseline=pupil,knows=1000")


def acts(project: Project) -> list[str]:
    """What the two pupils did, questions aside: each of theirs is one word."""
    return [asked.text if "|" not in asked.text else "ask" for asked in project.asked()]


def test_a_drop_against_another_model_is_a_failure(project: Project, run: Run) -> None:
    project.choice_task("rivers", range(40))
    result = run(*PAIR, "--lm-report=json:report.json")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["lmeval: model pupil,knows=3, against pupil,knows=1000*", "rivers: REGRESSED: acc fell by 92.50 points*"]
    )
    (row,) = project.report()["results"]
    assert (row["baseline"], row["value"], row["flips_regressed"]) == (1.0, 0.075, 37)
    assert project.baselines() == {}


def test_the_same_model_twice_passes(project: Project) -> None:
    project.everything()
    project.run("--lm-model=pupil,knows=3", "--lm-baseline=pupil,knows=3").assert_outcomes(passed=5)


def test_both_are_asked_the_same(project: Project) -> None:
    project.everything()
    project.run(*PAIR, "--lm-limit=3", "-k", "rivers or sums")
    asked = [asked.text for asked in project.asked() if "|" in asked.text]
    assert len(asked) == 2 * (2 * 3 + 3)
    assert all(asked.count(text) == 2 for text in asked)


def test_the_other_model_is_closed_before_the_model_under_test_opens(project: Project) -> None:
    project.everything()
    project.run(*PAIR)
    done = [act for act in acts(project) if act in ("open", "close")]
    assert done == ["open", "close", "open", "close"]


def test_also_where_a_test_of_ones_own_comes_first(project: Project) -> None:
    project.choice_task("rivers")
    project.python("def test_it(lm):\n    lm.loglikelihood([('1', 'north')])\n", name="test_first")
    project.run(*PAIR, "test_first.py", "tasks").assert_outcomes(passed=1, failed=1)
    texts = [asked.text for asked in project.asked() if asked.text != "stream"]
    assert [text for text in texts if "|" not in text] == ["open", "close", "open", "close"]
    assert texts.index("1|north") == 2 * 10 + 3


def test_on_workers_each_file_is_asked_on_its_own(project: Project) -> None:
    project.everything()
    result = project.run(*PAIR, "-n", "2")
    # No item alone is certain on so few documents; all of them together are, which only the controller can see.
    result.assert_outcomes(passed=5)
    result.stdout.fnmatch_lines(["suite: REGRESSED: all tasks together lost 50.00 points over 24 documents *"])
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    asked = [asked.text for asked in project.asked() if "|" in asked.text]
    assert len(asked) == 2 * (2 * (10 + 4 + 4) + 6)
    assert all(asked.count(text) == 2 for text in asked)


def test_only_what_runs_and_is_compared_is_asked(project: Project) -> None:
    project.everything()
    project.choice_task("streams", extra='gate: {mode: "off"}\n')
    project.write(
        "conftest.py",
        """
        import pytest

        def pytest_collection_modifyitems(items):
            for item in items:
                if item.name == "sums":
                    item.add_marker(pytest.mark.skip(reason="not today"))
        """.replace("\n        ", "\n"),
    )
    chosen = ("--deselect", ALL_ITEMS[0], "-k", "sums or rivers or lakes or streams")
    result = project.run(*PAIR, *chosen, "--lm-on-inconclusive=fail")
    result.assert_outcomes(failed=1, passed=1, skipped=1, deselected=3)
    texts = Counter(asked.text for asked in project.asked() if "|" in asked.text)
    assert {text: count for text, count in texts.items() if "lakes" in text} == dict.fromkeys(
        [f"Where does lakes {n} flow?| {word}" for n in range(4) for word in ("north", "south")], 2
    )
    assert {count for text, count in texts.items() if "streams" in text} == {1}
    assert len(texts) == 2 * (4 + 10)


def test_nothing_is_asked_to_collect(project: Project) -> None:
    project.everything()
    assert project.collect(*PAIR) == list(ALL_ITEMS)
    assert project.asked() == []


def test_of_a_group_alone_the_tasks_are_asked(project: Project) -> None:
    project.group()
    alone = ("--deselect", ALL_ITEMS[2], "--deselect", ALL_ITEMS[3])
    result = project.run(*PAIR, "--lm-report=json:report.json", *alone, "--lm-on-inconclusive=fail")
    result.assert_outcomes(failed=1)
    (row,) = project.report()["results"]
    assert (row["task"], row["baseline"], row["value"]) == ("waters", 1.0, 0.75)
    assert sum("|" in asked.text for asked in project.asked()) == 2 * 2 * 8


def test_marked_tests_have_no_baseline(project: Project) -> None:
    project.choice_task("rivers", folder="elsewhere")
    project.python('@pytest.mark.lmeval("rivers")\ndef test_it(lm_result):\n    assert lm_result.n == 10\n')
    project.run(
        *PAIR, "-o", "lm_task_paths=elsewhere", "-o", "lm_task_sources=elsewhere", "test_own.py"
    ).assert_outcomes(passed=1)
    assert acts(project).count("open") == 1


def test_another_model_that_does_not_open_is_an_error_of_each_item(project: Project, run: Run) -> None:
    project.everything()
    result = run("--lm-model=pupil", "--lm-baseline=pupil:absent")
    result.assert_outcomes(errors=5)
    result.stdout.fnmatch_lines(
        ["*the baseline model pupil:absent: pupil:absent cannot be opened: OSError: no such weights"]
    )
    assert "open" not in acts(project)


def test_questions_that_fail_are_an_error_of_their_item(project: Project) -> None:
    project.everything()
    result = project.run("--lm-model=pupil", "--lm-baseline=pupil,breaks=rivers")
    result.assert_outcomes(errors=1, passed=4)
    result.stdout.fnmatch_lines(["*the baseline model pupil,breaks=rivers: rivers: 20 of 20 requests*"])


def test_a_mistake_in_a_tasks_file_is_told_as_without_a_baseline(project: Project) -> None:
    project.choice_task("rivers")
    project.write("tasks/data/rivers.jsonl", "")
    project.choice_task("lakes")
    result = project.run("--lm-model=pupil", "--lm-baseline=pupil:")
    result.assert_outcomes(errors=1, passed=1)
    assert "baseline model" not in text_of(result)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--lm-baseline=pupl:x",), "--lm-baseline=pupl:x: unknown backend 'pupl'. *Did you mean pupil:x?"),
        (
            ("--lm-baseline=pupil,knos=3",),
            "--lm-baseline=pupil,knos=3: backend 'pupil' has no key 'knos'. Did you mean*",
        ),
        (("--lm-baseline=9:x",), "--lm-baseline=9:x: expected BACKEND:NAME, for example hf:gpt2"),
        (
            ("--lm-baseline=pupil:x", "--lm-update-baseline"),
            "--lm-update-baseline: there is no file to record to with --lm-baseline=pupil:x. *",
        ),
    ],
    ids=["backend", "key", "form", "update"],
)
def test_what_cannot_be_a_baseline_is_found_at_once(project: Project, args: tuple[str, ...], said: str) -> None:
    project.choice_task("rivers")
    result = project.run("--lm-model=pupil", *args)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*{said}"])
    assert project.asked() == []


def test_in_ci_another_model_is_baseline_enough(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    project.choice_task("rivers")
    project.run("--lm-model=pupil", "--lm-baseline=pupil:").assert_outcomes(passed=1)
