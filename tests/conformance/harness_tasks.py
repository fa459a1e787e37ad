"""A folder of tasks that lm-evaluation-harness and we both read: every kind of output, and what a log does not tell."""

from __future__ import annotations

import json
from pathlib import Path

ANIMALS = """\
task: animals
dataset_path: json
dataset_kwargs: {data_files: {test: FOLDER/animals.jsonl}}
test_split: test
fewshot_split: test
num_fewshot: 1
output_type: multiple_choice
process_docs: !function functions.shout
doc_to_text: "Q: {{question}}\\nA:"
doc_to_choice: "{{sounds}}"
doc_to_target: answer
metric_list:
  - {metric: acc, aggregation: mean, higher_is_better: true}
  - {metric: acc_norm, aggregation: mean, higher_is_better: true}
metadata: {version: 1.0}
"""

# The choices are the contexts; which one is right only a function says.
PLACES = """\
task: places
dataset_path: json
dataset_kwargs: {data_files: {test: FOLDER/animals.jsonl}}
test_split: test
output_type: multiple_choice
doc_to_text: !function functions.right
doc_to_choice: !function functions.contexts
doc_to_target: "lives there"
metric_list: [{metric: acc}]
"""

NUMBERS = """\
task: numbers
dataset_path: json
dataset_kwargs: {data_files: {test: FOLDER/numbers.jsonl}}
test_split: test
output_type: generate_until
doc_to_text: "Once there were {{n}} cats and"
doc_to_target: "{{n + 1}}"
generation_kwargs: {until: ["."], max_gen_toks: 8, do_sample: false}
filter_list:
  - name: strict
    filter: [{function: regex, regex_pattern: "(\\\\d+)"}, {function: take_first}]
  - name: word
    filter: [{function: regex, regex_pattern: "([a-z]+)"}, {function: take_first}]
metric_list:
  - {metric: exact_match, aggregation: mean, higher_is_better: true}
"""

# Its own function scores, and its targets are lists.
WORDS = """\
task: words
dataset_path: json
dataset_kwargs: {data_files: {test: FOLDER/numbers.jsonl}}
test_split: test
output_type: generate_until
doc_to_text: "The {{n}} dogs are"
doc_to_target: "{{[n, n + 1]}}"
generation_kwargs: {until: ["\\n"], max_gen_toks: 6}
process_results: !function functions.counted
metric_list:
  - {metric: letters, aggregation: mean, higher_is_better: true}
  - {metric: length, aggregation: median, higher_is_better: false}
"""

ENDINGS = """\
task: endings
dataset_path: json
dataset_kwargs: {data_files: {test: FOLDER/stories.jsonl}}
test_split: test
output_type: loglikelihood
doc_to_text: start
doc_to_target: end
metric_list:
  - {metric: perplexity, aggregation: perplexity, higher_is_better: false}
  - {metric: acc, aggregation: mean, higher_is_better: true}
"""

TEXTS = """\
task: texts
dataset_path: json
dataset_kwargs: {data_files: {test: FOLDER/stories.jsonl}}
test_split: test
output_type: loglikelihood_rolling
doc_to_text: ""
doc_to_target: start
metric_list:
  - {metric: word_perplexity, aggregation: weighted_perplexity, higher_is_better: false}
  - {metric: byte_perplexity, aggregation: weighted_perplexity, higher_is_better: false}
  - {metric: bits_per_byte, aggregation: bits_per_byte, higher_is_better: false}
"""

ZOO = """\
group: zoo
task: [animals, places]
aggregate_metric_list:
  - {metric: acc, aggregation: mean, weight_by_size: true}
"""

FUNCTIONS = """\
def shout(dataset):
    return dataset.map(lambda row: {"question": row["question"].upper(), "number": len(row["question"])})

def right(doc):
    return doc["answer"]

def contexts(doc):
    return [f"The one that says {sound}" for sound in doc["sounds"]]

def counted(doc, results):
    return {"letters": float(sum(letter in "aeiou" for letter in results[0])), "length": len(results[0])}
"""

TASKS = ("animals", "places", "numbers", "words", "endings", "texts")
ALL = (*TASKS, "zoo")


def write_tasks(folder: Path) -> None:
    """Write data, functions, and a file for each task."""
    folder.mkdir(parents=True, exist_ok=True)
    sounds = ["woof", "meow", "moo!"]
    _rows(folder / "animals.jsonl", [
        {"question": f"What does animal {at} say?", "sounds": sounds, "answer": at % 3} for at in range(10)
    ])  # fmt: skip
    _rows(folder / "numbers.jsonl", [{"n": at} for at in range(10)])
    _rows(folder / "stories.jsonl", [
        {"start": f"Once upon a time there was a child. It had {at} toys. The child", "end": " was happy."}
        for at in range(10)
    ])  # fmt: skip
    (folder / "functions.py").write_text(FUNCTIONS, encoding="utf-8")
    files = {"animals": ANIMALS, "places": PLACES, "numbers": NUMBERS, "words": WORDS, "endings": ENDINGS}
    for name, text in {**files, "texts": TEXTS, "zoo": ZOO}.items():
        (folder / f"{name}.yaml").write_text(text.replace("FOLDER", str(folder)), encoding="utf-8")


def _rows(path: Path, rows: list[dict[str, object]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
