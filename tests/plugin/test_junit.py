"""JUnit files: valid by the published schema whatever a model writes, with what dashboards need of each test case."""

from __future__ import annotations

import hashlib
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from lxml import etree

from tests.junit_schema import junit_schema
from tests.unit.hostile import HOSTILE

from .project import Project

MANY = range(60)
MODEL_TESTS = ("rivers", "lakes", "seas")
PRINTS = """
@pytest.mark.parametrize("text", {texts})
def test_prints(lm, text):
    print(text)
    assert text == "", text
"""


# What cannot be written to any file is refused before it is asked.
TEXTS = [text for text in HOSTILE if "\ud800" not in text]


def suite_of(project: Project) -> ET.Element:
    suite = ET.fromstring(project.read("junit.xml")).find("testsuite")
    assert suite is not None
    return suite


def faults(path: Path) -> list[str]:
    """Check a file by the published schema.

    It has properties of a suite only. Those of a test case, which pytest writes as its first element and most readers
    know, are checked by what it says of properties, and the rest without them.
    """
    schema, file = junit_schema(), etree.parse(str(path))
    parts = [case[0] for case in file.iter("testcase") if len(case) and case[0].tag == "properties"]
    for part in parts:
        part.getparent().remove(part)
    assert parts
    return [str(schema.error_log) for part in (file, *parts) if not schema.validate(part)]


def lm_properties(element: ET.Element) -> dict[str, str]:
    found = element.findall("properties/property")
    return {each.attrib["name"].removeprefix("lm."): each.attrib["value"] for each in found}


def hostile_task(project: Project, name: str) -> None:
    """Ask what tries to be more than text. The pupil answers by the last number."""
    project.choice_task(name, MANY)
    rows = [{"question": f"{TEXTS[at % len(TEXTS)]} \x00\x1b[31m \ufffe {at}", "answer": at % 2} for at in MANY]
    project.data(f"tasks/data/{name}.jsonl", rows)


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "workers"])
def test_what_dashboards_read(project: Project, workers: tuple[str, ...]) -> None:
    hostile_task(project, "rivers")
    project.choice_task("lakes", MANY)
    project.choice_task("seas", MANY)
    project.run("--lm-model=pupil", "--lm-update-baseline", "-k", "not seas")
    project.write("tasks/lakes.yaml", project.read("tasks/lakes.yaml").replace("{{question}}", "Say: {{question}}"))
    project.python(PRINTS.format(texts=[*TEXTS[:3], "\x00\x1b[31m \ufffe"]))
    model = "pupil,knows=20,metered=true"
    result = project.run(*workers, f"--lm-model={model}", "--lm-baseline=pupil", "--junitxml=junit.xml")
    result.assert_outcomes(passed=1, failed=5, errors=1)
    assert faults(project.path / "junit.xml") == []

    cases = project.junit()
    # Quality is a failure; what could not be judged is an error; no past is no fault.
    assert {name: [child.tag for child in cases[name] if child.tag != "properties"] for name in MODEL_TESTS} == {
        "rivers": ["failure"],
        "lakes": ["error"],
        "seas": [],
    }
    rivers = lm_properties(cases["rivers"])
    baseline = project.baseline("rivers").read_bytes()
    assert (
        rivers.items()
        >= {
            "task": "rivers",
            "metric": "acc",
            "model": model,
            "backend": "fake",
            "n": "60",
            "verdict": "regressed",
            "baseline_digest": hashlib.sha256(baseline).hexdigest(),
            "flips_regressed": "40",
            "flips_improved": "0",
        }.items()
    )
    named = {
        "score",
        "stderr",
        "baseline",
        "delta",
        "ci_low",
        "ci_high",
        "p",
        "mde",
        "task_hash",
        "prompt_hash",
        "tokens",
    }
    assert named | {"baseline_source", "reason"} <= rivers.keys()
    lakes = lm_properties(cases["lakes"])
    assert lakes["verdict"] == "incomparable"
    assert lakes["prompt_hash"] != rivers["prompt_hash"]

    suite = lm_properties(suite_of(project))
    assert suite["verdict"] == "regressed"
    assert suite["model"] == model
    assert suite["run"] in {folder.name for folder in (project.path / ".lmeval" / "runs").iterdir()}
    assert float(suite["p_adj.rivers acc"]) < 0.01
    assert {"environment.python", "environment.platform", "seed", "calls", "prompt_tokens", "backend"} <= suite.keys()
    assert float(suite["cost"]) == (1.0 if workers else 0.5)
