"""What a run may change about a task. Apart from the evaluation so that reading the command line stays cheap."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytest_lmeval.tasks.limits import Limit
from pytest_lmeval.tasks.sampling import Samples

DEFAULT_SEED = 1234


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptOptions:
    """How prompts reach the model.

    ``system`` stands before everything else. With ``chat_template`` they are conversations; the few-shot examples
    are turns of their own where ``multiturn`` is set, else one message together with the question.
    """

    system: str = ""
    chat_template: bool = False
    multiturn: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationOptions:
    """What the command line may change about a task; None leaves the file's own setting.

    ``samples`` choose the documents of the tasks that have one, in place of ``limit``, which is the same for all.
    ``metadata`` is handed to a task's ``custom_dataset`` with the file's own. ``unsafe_code`` is the user's consent
    to run code that the model writes. ``run`` counts the further times that one and the same thing is asked, to see
    how much answers vary: in another order and, where the model samples, with another seed. It is no setting of the
    task: what is asked, and how that is hashed, stays the same.
    """

    limit: Limit | None = None
    samples: Samples = field(default_factory=Samples)
    num_fewshot: int | None = None
    generation_kwargs: Mapping[str, Any] = field(default_factory=dict)
    seed: int = DEFAULT_SEED
    data_dir: Path | None = None
    prompt: PromptOptions = PromptOptions()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    unsafe_code: bool = False
    run: int = 0

    def selection(self, task: str) -> str | None:
        """What chooses the documents of a task, as users wrote it; None where all are asked."""
        chooses = self.samples.of(task) or self.limit
        return None if chooses is None else chooses.text
