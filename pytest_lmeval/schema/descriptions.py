"""What each key of a task file means, in a sentence: shown by editors, and required of every key there is."""

from __future__ import annotations

TASK: dict[str, str] = {
    "task": "The task's unique name; in a group's file, the list of what belongs to the group.",
    "task_alias": "A name for display only.",
    "tag": "One or more names under which this task can be asked for together with others.",
    "custom_dataset": "A function that returns the splits by name, instead of dataset_path.",
    "dataset_path": "A dataset id on the hub, or json, csv or parquet with dataset_kwargs.data_files.",
    "dataset_name": "The dataset's configuration, where it has several.",
    "dataset_kwargs": "Further arguments for loading the dataset; data_files are paths beside the task file.",
    "training_split": "The split that few-shot examples come from unless fewshot_split says otherwise.",
    "validation_split": "The split that is evaluated where there is no test_split.",
    "test_split": "The split that is evaluated; it wins over validation_split.",
    "fewshot_split": "The split that few-shot examples come from.",
    "process_docs": "A function from a dataset to a dataset, called once for each split.",
    "doc_to_text": "The question: a column's name, a Jinja template over the columns, or a function of the document.",
    "doc_to_target": "The right answer: a column, template or function that gives a text, a choice's index, or a list.",
    "doc_to_choice": "The choices: a column, a template that gives a Python list, a literal list, or a function.",
    "doc_to_image": "Images that go with the question.",
    "doc_to_audio": "Sound that goes with the question.",
    "unsafe_code": "Whether scoring executes code that the model wrote.",
    "process_results": "A function of document and answers that returns values by metric: it replaces the scoring.",
    "description": "A text before the examples: a column's name or a template; it gets no separator of its own.",
    "target_delimiter": "What stands between question and answer in examples, and before each choice.",
    "fewshot_delimiter": "What ends each example; also the default stop string of generation.",
    "fewshot_config": "What differs for few-shot examples from the document that is asked.",
    "num_fewshot": "Examples before each question; exactly 0 cannot be overridden on the command line.",
    "metric_list": "The metrics, each with its aggregation; without it those usual for the output type.",
    "output_type": "What is asked of the model: text, or log-probabilities of choices, continuations or whole texts.",
    "generation_kwargs": "How text is generated; single keys are overridden by --lm-gen-kwargs.",
    "repeats": "How often each request is sent.",
    "filter_list": "Named pipelines from the model's text to the answer that is scored, each with metrics of its own.",
    "gen_prefix": "A column or template that begins the answer, in the prompt and in the examples.",
    "metadata": "Free notes; version is reported.",
    "gate": "Which values are good enough, and how a baseline is compared; not in lm-evaluation-harness.",
}

# Keys that are read and are no field of the task.
OTHER: dict[str, str] = {
    "include": "A file, or several, whose keys count where this file does not have them; values are not merged.",
    "class": "A task that is a Python class of lm-evaluation-harness's kind; its other keys are for the class.",
    "should_decontaminate": "Read and without effect.",
    "doc_to_decontamination_query": "Read and without effect.",
    "use_prompt": "Read and without effect.",
}

FEWSHOT: dict[str, str] = {
    "sampler": "How examples are drawn: default at random with the seed, first_n from the top.",
    "split": "The split that examples come from.",
    "process_docs": "A function from a dataset to a dataset, for the split of the examples.",
    "samples": "The examples themselves: a list of documents, or a function that returns one.",
    "fewshot_indices": "Read and without effect.",
    "doc_to_text": "The question of an example.",
    "doc_to_choice": "The choices of an example.",
    "doc_to_target": "The answer of an example.",
    "gen_prefix": "What begins the answer of an example.",
    "fewshot_delimiter": "What ends each example.",
    "target_delimiter": "What stands between an example's question and answer.",
    "num_fewshot": "Read and without effect; the number stands in the task's num_fewshot.",
}

GROUP: dict[str, str] = {
    "group": "The group's unique name.",
    "group_alias": "A name for display only.",
    "task": "The tasks, groups and tags of the group; a mapping changes single keys of a task, or is a group itself.",
    "aggregate_metric_list": "The metrics whose mean over the group's tasks is reported; without it there is none.",
}

AGGREGATE: dict[str, str] = {
    "metric": "The metric, as the tasks call it.",
    "weight_by_size": "Whether every document counts the same (the default), or every task.",
    "aggregation": "How values are combined; mean is the only way.",
    "filter_list": "The filter, or filters, whose values are combined; without it every filter on its own.",
}

METRIC: dict[str, str] = {
    "metric": "The metric's name, or a function; other keys than the known ones are its arguments.",
    "aggregation": "How the documents' values become one number: a name or a function.",
    "higher_is_better": "Whether a larger value is better.",
    "hf_evaluate": "Whether the metric is one of the evaluate library.",
    "ignore_case": "exact_match: whether upper and lower case are equal.",
    "ignore_punctuation": "exact_match: whether ASCII punctuation is dropped from both texts.",
    "ignore_numbers": "exact_match: whether digits are dropped from both texts.",
    "regexes_to_ignore": "exact_match: patterns that are removed from both texts first.",
}

FILTERS: dict[str, str] = {
    "name": "The pipeline's name, as in exact_match,NAME.",
    "filter": "The pipeline's steps, in order.",
    "function": "The step's name, or a class with a method apply; other keys are its arguments.",
}

GENERATION: dict[str, str] = {
    "until": "Stop strings: the answer ends before the first of them; an empty list leaves it to the model.",
    "max_gen_toks": "The most tokens that are generated (default 256).",
    "do_sample": "Whether tokens are drawn at random rather than the most probable taken.",
    "temperature": "The temperature of sampling; 0 is greedy.",
    "top_p": "The probability mass that sampling is restricted to.",
    "top_k": "The number of tokens that sampling is restricted to.",
}

GATE: dict[str, str] = {
    "preset": "Settings for a purpose: lossless (engine, kernel), quantized, finetune, smoke, strict, default or off.",
    "mode": "regression fails on evidence of harm, noninferiority unless harmlessness is shown, off compares nothing.",
    "min_effect": "A drop that is smaller is none, however certain: 0.5pp, 1%, or a number in the metric's unit.",
    "alpha": "The rate of false alarms at which a run fails, over all its gated metrics together.",
    "alpha_warn": "The rate at which a result is called suspect, and the level of the bound against the margin.",
    "on_inconclusive": "What becomes of a task whose documents are too few to tell: pass, warn, fail or auto.",
    "on_drift": "What becomes of a task whose margins moved and whose accuracy did not: pass, warn or fail.",
    "max_error_rate": "The share of documents that may go unanswered before the task is an error.",
    "floor": "Compare thresholds with the value (point), or with the confident side of its interval (confident).",
    "cluster": "The column of the documents whose equal values belong together, as questions on one passage do.",
    "slices": "Columns of the documents by which a drop is broken down.",
    "models": "Patterns on the model, as in hf:gpt2*, with a gate each; the first that matches counts.",
    "min": "The least value that passes.",
    "max": "The largest value that passes.",
    "margin": "How much worse than the baseline is acceptable: 1pp, 2%, or a number in the metric's unit.",
}
