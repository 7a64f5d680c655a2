"""`relexify score-predictions --task TASK --language CODE --gold FILE --predictions FILE`: no model, no torch."""

from __future__ import annotations

import argparse

EXAMPLE = """example:
  relexify score-predictions --task xquad --language th --gold xquad.th.json --predictions predictions.json
  relexify score-predictions --task squad2 --gold dev-v2.0.json --predictions predictions.json \\
      --no-answer-probabilities null_odds.json

Predictions are one JSON object, question id -> answer text, as the official scorers read them. One JSON object is
printed: exact_match and f1 in percent, equal to the official scorers' (SQuAD 1.1 for squad, xquad, tydiqa; SQuAD 2.0
for squad2; MLQA, by the answer's language, for mlqa). Languages written without spaces get f1_segmented besides.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `tasks.qa.scores.score` and `score_squad2`."""
    parser.epilog = EXAMPLE
    add = parser.add_argument
    add("--task", required=True, help="squad, squad2, xquad, mlqa or tydiqa: decides which official rules apply")
    add("--language", metavar="CODE",
        help="language of contexts and answers (default 'en' for squad and squad2, else required)")
    add("--gold", required=True, metavar="FILE",
        help="the questions with their answers, in SQuAD's layout, or as the reader of a task of --tasks-from wants them")
    add("--predictions", required=True, metavar="FILE", help="JSON object: question id -> answer text")
    add("--no-answer-probabilities", metavar="FILE",
        help="squad2: JSON object: question id -> probability that there is no answer; adds the best thresholds")
    add("--no-answer-threshold", type=float, default=None, metavar="P",
        help="squad2: above this probability a prediction counts as no answer (default 1.0)")


def run(args: argparse.Namespace) -> int:
    """Scores and prints one JSON object on one line; warnings go to stderr."""
    import json

    from pretrain.base.errors import UserError
    from pretrain.base.language import check_language
    from tasks.qa.data import read_squad_file
    from tasks.qa.known import question_answering
    from tasks.qa.predictions import read_predictions, read_probabilities
    from tasks.qa.scores import score, score_squad2

    task = question_answering(args.task)
    if args.language is None and task.languages != ("en",):
        raise UserError(f"--language is missing: the language of the answers decides how {task.name} is scored; name it, as "
                        "--language de")
    language = check_language(args.language or "en")
    for flag in ("no_answer_probabilities", "no_answer_threshold"):
        if getattr(args, flag) is not None and not task.unanswerable:
            raise UserError(f"--{flag.replace('_', '-')} is for --task squad2, not {task.name}; leave it out")
    if args.no_answer_threshold is not None and args.no_answer_probabilities is None:
        raise UserError("--no-answer-threshold needs --no-answer-probabilities FILE: there is nothing to compare with")
    if task.reader is None:
        questions = task.keep(read_squad_file(args.gold), language)
    else:
        questions = task.read("", task.splits[-1], language, [args.gold])
    predictions = read_predictions(args.predictions)
    if args.no_answer_probabilities is None:
        result = score(questions, predictions, task.rules(language), language)
    else:
        threshold = 1.0 if args.no_answer_threshold is None else args.no_answer_threshold
        probabilities = read_probabilities(args.no_answer_probabilities)
        result = score_squad2(questions, predictions, probabilities, threshold, language, task.rules(language))
    print(json.dumps({"task": task.name, "language": language, **result}, ensure_ascii=False))
    return 0
