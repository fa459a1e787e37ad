"""Write the task files of MGSM's 11 languages in three variants into ``tasks/mgsm/``.

The words around question and answer are those of the benchmark's own examples, so that these and the documents
asked look alike. Run as ``python scripts/mgsm_tasks.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent.parent / "tasks" / "mgsm"


@dataclass(frozen=True)
class Language:
    """What stands before a question and before a worked answer, and what the final number stands in."""

    name: str
    question: str
    steps: str
    final: str
    answer: str = "Answer:"


NUMBER = r"(\-?[0-9\.\,]+)"

LANGUAGES = {
    "bn": Language("Bengali", "প্রশ্ন:", "ধাপে ধাপে উত্তর:", f"The answer is {NUMBER}"),
    "de": Language("German", "Frage:", "Schritt-für-Schritt-Antwort:", f"Die Antwort lautet {NUMBER}", "Antwort:"),
    "en": Language("English", "Question:", "Step-by-Step Answer:", f"The answer is {NUMBER}"),
    "es": Language("Spanish", "Pregunta:", "Respuesta paso a paso:", f"La respuesta es {NUMBER}", "Respuesta:"),
    "fr": Language("French", "Question :", "Réponse étape par étape :", f"La réponse est {NUMBER}", "Réponse :"),
    "ja": Language("Japanese", "問題：", "ステップごとの答え:", f"答えは{NUMBER}です。"),
    "ru": Language("Russian", "Задача:", "Пошаговоерешение:", f"Ответ — {NUMBER}"),
    "sw": Language("Swahili", "Swali:", "Jibu la Hatua kwa Hatua:", f"Jibu ni {NUMBER}"),
    "te": Language("Telugu", "ప్రశ్న:", "దశలవారీగా సమాధానం:", f"సమాధానం {NUMBER}"),
    "th": Language("Thai", "โจทย์:", "คำตอบทีละขั้นตอน:", f"คำตอบคือ {NUMBER}"),
    "zh": Language("Chinese", "问题：", "逐步解答:", f"答案是 {NUMBER}。"),
}

# An example brings the word for "question" with it, a document asked does not.
TASK = """\
# MGSM, {name}, {how}.
# See _mgsm_base for source and licence. Written by scripts/mgsm_tasks.py.
include: _{variant}_base
task: mgsm_{variant}_{code}
dataset_name: {code}
doc_to_text: "{{{{question if answer is not none else '{question} ' + question}}}}\\n{lead}"
{target}generation_kwargs:
  until: ["{question}", "</s>", "<|im_end|>"]
  do_sample: false
"""

WORKED = 'doc_to_target: "{{{{answer[{skipped}:] if answer is not none else answer_number|string}}}}"\n'

STRICT = """\
filter_list:
  - name: strict-match
    filter:
      - {{function: regex, regex_pattern: '{final}'}}
      - function: take_first
  - name: flexible-extract
    filter:
      - {{function: regex, regex_pattern: '(-?[$0-9.,]{{2,}})|(-?[0-9]+)', group_select: -1}}
      - function: take_first
"""


def main() -> None:
    """Write all files; what is there is overwritten."""
    for code, language in LANGUAGES.items():
        write(code, "direct", "answered at once", language.answer)
        write(code, "en_cot", "reasoned in English", LANGUAGES["en"].steps, worked=True)
        write(code, "native_cot", "reasoned in the question's language", language.steps, worked=True)


def write(code: str, variant: str, how: str, lead: str, *, worked: bool = False) -> None:
    """Write one file; ``lead`` begins the answer."""
    language = LANGUAGES[code]
    # The worked examples begin with the words for a stepwise answer and a space, in the language of the questions.
    target = WORKED.format(skipped=len(language.steps) + 1) if worked else ""
    text = TASK.format(
        code=code, name=language.name, how=how, variant=variant, question=language.question, lead=lead, target=target
    )
    if variant == "native_cot":
        text += STRICT.format(final=language.final)
    (FOLDER / f"mgsm_{variant}_{code}.yaml").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
