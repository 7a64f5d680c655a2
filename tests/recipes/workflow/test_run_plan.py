"""The plan of a run: which cells there are, what their folders are named after, what is shared."""

from __future__ import annotations

import os
from collections import Counter

import pytest

from pretrain.base.errors import UserError
from pretrain.base.files import write_json
from recipes.workflow.plan import body_label
from recipes.workflow.show import dry_run, write_dag
from tests.recipes.workflow.run_world import content, plan


def folders(made, stage: str) -> set[str]:
    return {name for name in made.jobs if name.startswith(stage + "/")}


def finish(made, *stages: str) -> None:
    for job in made.jobs.values():
        if job.stage in stages:
            job.record.parent.mkdir(parents=True, exist_ok=True)
            job.record.write_text("{}")


def test_the_cells_are_the_product_of_the_recipe(tmp_path):
    made = plan(tmp_path)
    assert made.counts() == {"prepare": 3, "pretrain": 4, "adapt": 8, "finetune": 4, "evaluate": 12}
    cells = Counter((cell["arm"], cell["seed"], cell.get("budget")) for cell in made.cells if cell["stage"] == "evaluate")
    assert set(cells.values()) == {1} and len(cells) == 2 * 2 * 3


@pytest.mark.parametrize(("settings", "label"), [
    ({}, "forgetting400"), ({"forget_until": 1600}, "temporary400to1600"), ({"forget_reset": "none"}, "control400"),
    ({"forget_share": 0.5, "forget_until": 1600}, "temporary400to1600-share0.5"), ({"forget_hold": 20}, "forgetting400-hold20"),
    ({"forget_reset": "permute"}, "forgetting400-permute"), ({"forget_bias": "reset"}, "forgetting400-bias-reset"),
    ({"forget_reset": "none", "forget_share": 1.0, "forget_hold": 0, "forget_bias": ""}, "control400"),
    ({"forget_reset": "rotate", "forget_tables": 4, "embedding_lr_scale": 5}, "forgetting400-x5-rotate4")])
def test_a_bodys_label_names_its_resets(settings, label):
    assert body_label({"forget_every": 400, **settings}) == label


def test_a_task_may_have_some_of_the_seeds(tmp_path):
    tasks = {"xnli": {**content(tmp_path)["tasks"]["xnli"], "seeds": [2, 3]}, "udpos": {"data": str(tmp_path / "task")}}
    made = plan(tmp_path, tasks=tasks)
    cells = Counter((cell["task"], cell["seed"]) for cell in made.cells if cell["stage"] == "evaluate")
    assert cells == {("xnli", 2): 6, ("udpos", 1): 6, ("udpos", 2): 6}
    assert made.counts()["pretrain"] == 4 and made.counts()["finetune"] == 6
    assert set(plan(tmp_path, "seeds=[1]", tasks=tasks).jobs) < set(made.jobs)


def test_a_task_of_two_languages_pairs_the_base_with_each_other_and_is_not_scored_on_it_alone(tmp_path):
    task = {"data": str(tmp_path / "task"), "train_task": "xnli"}
    made = plan(tmp_path, "seeds=[1]", tasks={"tatoeba": task})
    words = [job.words for job in made.jobs.values() if job.stage == "evaluate"]
    assert len(words) == 4 and {own.count("--embedding") for own in words} == {3}  # two arms, two budgets
    assert all("/pretrain/en-" in own[own.index("--embedding") + 1] for own in words)


def test_every_job_waits_for_what_it_reads_and_comes_after_it(tmp_path):
    made = plan(tmp_path)
    order = list(made.jobs)
    for job in made.jobs.values():
        read = {other.id for other in made.jobs.values() for word in job.words
                if other.id != job.id and (word.removeprefix("data=") + "/").startswith(str(other.output) + "/")}
        assert read <= set(job.needs), job.id
        assert all(order.index(need) < order.index(job.id) for need in job.needs)


def test_budgets_of_tokens_seen_are_points_of_one_adaptation(tmp_path):
    made = plan(tmp_path, seeds=[1])
    adaptation = made.jobs[sorted(folders(made, "adapt"))[0]]
    assert adaptation.words[adaptation.words.index("--save-embeddings-at") + 1] == "10"
    scored = [job for job in made.jobs.values() if job.stage == "evaluate" and adaptation.id in job.needs]
    embeddings = {word for job in scored for word in job.words if word.startswith(str(adaptation.output))}
    assert embeddings == {str(adaptation.output), str(adaptation.output / "at" / "000010")}


@pytest.mark.parametrize("settings", [{}, {"adapt": {"updates": 30}}])
def test_annealed_budgets_are_runs_to_their_own_ends_in_one_adaptation(settings, tmp_path):
    """`adapt --budgets` writes each of them to `at/`; the longest is the output."""
    made = plan(tmp_path, budget_is="annealed", budgets={"updates": [30, 10]}, seeds=[1], **settings)
    adaptation = made.jobs[sorted(folders(made, "adapt"))[0]]
    assert adaptation.words[adaptation.words.index("--budgets") + 1] == "10,30"
    assert not {"--updates", "--save-embeddings-at"} & set(adaptation.words)
    scored = [job for job in made.jobs.values() if job.stage == "evaluate" and adaptation.id in job.needs]
    embeddings = {word for job in scored for word in job.words if word.startswith(str(adaptation.output))}
    assert embeddings == {str(adaptation.output), str(adaptation.output / "at" / "000010")}
    on_the_way = plan(tmp_path, budgets={"updates": [30, 10]}, seeds=[1], **settings)
    assert not folders(made, "adapt") & folders(on_the_way, "adapt")


def test_a_language_with_a_finished_tokenizer_is_prepared_with_it_alone(tmp_path):
    """What `prepare:` says of all languages' tokenizers is refused by the command beside `--tokenizer`."""
    tokenizer = tmp_path / "tokenizer"
    tokenizer.mkdir()
    languages = {**content(tmp_path)["languages"]}
    languages["en"] = {**languages["en"], "tokenizer": str(tokenizer)}
    made = plan(tmp_path, prepare={"vocab_size": 90, "character_coverage": 0.99, "valid_documents": 5}, languages=languages)
    (base,) = (job.words for name, job in made.jobs.items() if name.startswith("prepare/en-"))
    assert "--tokenizer" in base and "--valid-documents" in base
    assert not {"--vocab-size", "--character-coverage"} & set(base)
    assert all("--vocab-size" in job.words for name, job in made.jobs.items() if name.startswith("prepare/bg-"))


def test_budgets_of_text_are_adaptations_of_their_own_with_the_tokenizer_of_all_text(tmp_path):
    made = plan(tmp_path, budget_is="text", budgets={"tokens": ["1k", "5k"]}, adapt={"updates": 30}, seeds=[1],
                arms={"standard": content(tmp_path)["arms"]["standard"]})
    assert len(folders(made, "adapt")) == 4 and len(folders(made, "prepare")) == 3 + 4
    small = next(job for name, job in made.jobs.items() if name.startswith("prepare/bg-1k-"))
    assert small.words[small.words.index("--tokens") + 1] == "1k"
    assert small.needs[0].startswith("prepare/bg-") and str(made.jobs[small.needs[0]].output) in small.words


def test_points_of_an_adaptation_on_little_text(tmp_path):
    made = plan(tmp_path, budget_is="text", budgets={"tokens": ["5k"], "updates": [10, 30]}, seeds=[1])
    assert len(folders(made, "adapt")) == 4
    assert {cell.get("budget") for cell in made.cells if cell["stage"] == "evaluate"} == {None, "5k-10", "5k-30"}


def test_a_ready_body_is_known_by_its_fingerprint_not_by_its_place(tmp_path):
    for place in ("one", "two"):
        write_json(tmp_path / place / "body" / "body.json",
                   {"fingerprint": "f" * 64, "made": {"seed": 1, "forgetting": {"every": 400, "until": 0}}})
        write_json(tmp_path / place / "embedding" / "embedding.json", {"fingerprint": "e" * 64})
    one, two = (plan(tmp_path, arms={"ready": {"body": str(tmp_path / place)}}, seeds=[1]) for place in ("one", "two"))
    assert not folders(one, "pretrain") and list(one.jobs) == list(two.jobs)
    assert any(name.startswith("adapt/bg-random-on-forgetting400-s1-") for name in one.jobs)


def test_a_body_that_is_named_by_seed(tmp_path):
    made = plan(tmp_path, arms={"ready": {"body": str(tmp_path / "s{seed}")}})
    assert {str(tmp_path / "s1"), str(tmp_path / "s2")} <= set(made.missing)


def test_a_rate_that_is_to_be_found_is_named_by_its_word_in_the_commands(tmp_path):
    lines = [job.line for job in plan(tmp_path, "adapt.lr=auto").jobs.values() if job.stage == "adapt"]
    assert lines and all("--lr auto" in line for line in lines)


@pytest.mark.parametrize("words", [
    ["resources.default={threads: 2}"], ["adapt.lr=0.001"], ["adapt.clip_norm=0.5"], ["evaluate.device=cpu"], ["name=other"],
    ["pretrain.dropout=0.0"]])
def test_places_threads_and_defaults_that_are_written_out_change_no_folder(words, tmp_path):
    assert list(plan(tmp_path).jobs) == list(plan(tmp_path, *words).jobs)


@pytest.mark.parametrize(("words", "stages"), [
    (["evaluate.max_length=32"], {"evaluate"}), (["finetune.lr=1e-4"], {"finetune", "evaluate"}),
    (["adapt.lr=2e-3"], {"adapt", "evaluate"}), (["pretrain.lr=2e-4"], {"pretrain", "adapt", "finetune", "evaluate"}),
    (["prepare.vocab_size=99"], {"prepare", "pretrain", "adapt", "finetune", "evaluate"})])
def test_a_setting_changes_its_stage_and_what_builds_on_it(words, stages, tmp_path):
    before, after = plan(tmp_path), plan(tmp_path, *words)
    changed = {stage for stage in before.counts() if folders(before, stage) - folders(after, stage)}
    # the base language's scores depend on no adaptation
    assert changed == stages
    if stages == {"adapt", "evaluate"}:
        assert len(folders(before, "evaluate") & folders(after, "evaluate")) == 4


def test_arms_names_do_not_matter(tmp_path):
    arms = content(tmp_path)["arms"]
    assert list(plan(tmp_path).jobs) == list(plan(tmp_path, arms={"a": arms["standard"], "b": arms["forgetting"]}).jobs)


def test_text_counts_by_content_not_by_name_or_time(tmp_path):
    before = plan(tmp_path)
    (tmp_path / "moved.txt").write_text("bg")
    os.utime(tmp_path / "moved.txt", (1, 1))
    languages = content(tmp_path)["languages"]
    moved = {**languages, "bg": {"text": str(tmp_path / "moved.txt")}}
    assert list(plan(tmp_path, languages=moved).jobs) == list(before.jobs)
    (tmp_path / "moved.txt").write_text("gb")
    assert folders(plan(tmp_path, languages=moved), "prepare") != folders(before, "prepare")


def test_a_teacher_counts_by_what_it_says(tmp_path):
    (tmp_path / "a.parquet").write_bytes(b"one")
    (tmp_path / "b.parquet").write_bytes(b"one")
    first, same = (plan(tmp_path, f"finetune.teacher={tmp_path / name}") for name in ("a.parquet", "b.parquet"))
    assert list(first.jobs) == list(same.jobs) and folders(first, "finetune") != folders(plan(tmp_path), "finetune")
    assert any("--teacher" in job.words for job in first.jobs.values() if job.stage == "finetune")
    (tmp_path / "b.parquet").write_bytes(b"two")
    other = plan(tmp_path, f"finetune.teacher={tmp_path / 'b.parquet'}")
    assert folders(other, "finetune") != folders(first, "finetune") and folders(other, "adapt") == folders(first, "adapt")


def test_a_body_that_pretraining_goes_on_from_counts_by_what_it_holds(tmp_path):
    for name in ("one", "same", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "body.json").write_text("2" if name == "other" else "1")
    one, same, other = (plan(tmp_path, f"pretrain.from={tmp_path / name}") for name in ("one", "same", "other"))
    assert list(one.jobs) == list(same.jobs) and f"from={tmp_path / 'one'}" in next(
        job.words for job in one.jobs.values() if job.stage == "pretrain")
    assert len({frozenset(folders(made, "pretrain")) for made in (plan(tmp_path), one, other)}) == 3
    assert str(tmp_path / "none") in plan(tmp_path, f"pretrain.from={tmp_path / 'none'}").missing
    assert folders(plan(tmp_path, f"pretrain.from={tmp_path / 'one'}", "pretrain.from_embedding=new"), "pretrain") != folders(
        one, "pretrain")


def test_remembered_hashes_follow_a_file_that_changes(tmp_path):
    (tmp_path / "store").mkdir()
    before = plan(tmp_path)
    assert (tmp_path / "store" / ".hashes.json").exists()
    made = content(tmp_path)
    (tmp_path / "bg.txt").write_text("other text")
    from recipes.workflow.content import Contents

    assert Contents(tmp_path / "store").of(made["languages"]["bg"]["text"], "text") not in str(
        before.jobs[next(name for name in before.jobs if name.startswith("prepare/bg-"))].key)


def test_two_tasks_learned_alike_share_the_task_body(tmp_path):
    made = plan(tmp_path, seeds=[1], tasks={
        name: {"data": str(tmp_path / "task"), "train_task": "squad", "finetune": {"data": str(tmp_path / "task")}}
        for name in ("xquad", "mlqa")})
    assert len(folders(made, "finetune")) == 2 and len(folders(made, "evaluate")) == 2 * 2 * 3


def test_only_what_is_wanted_and_not_there_is_run(tmp_path):
    made = plan(tmp_path)
    assert len(made.pending()) == 31
    finish(made, "evaluate")
    assert made.pending() == []  # nobody asks for the bodies behind finished scores
    assert len(made.pending(["adapt"])) == 3 + 4 + 8
    finish(made, "pretrain", "prepare")
    assert {made.jobs[name].stage for name in made.pending(["adapt"])} == {"adapt"}


def test_a_dry_run_names_every_command_and_every_missing_input_once(tmp_path):
    changes = {"languages": {**content(tmp_path)["languages"], "bg": {"text": "/no/text.txt"}}}
    text = dry_run(plan(tmp_path, **changes))
    assert text.count("# missing: /no/text.txt: expected text") == 1
    assert sum(line.startswith("relexify ") for line in text.splitlines()) == 31


def test_the_graph_has_every_job_and_every_need(tmp_path):
    made = plan(tmp_path)
    write_dag(made, tmp_path / "run.dot")
    text = (tmp_path / "run.dot").read_text()
    assert text.count("->") == sum(len(job.needs) for job in made.jobs.values())
    assert all(f'"{name}"' in text for name in made.jobs)


def test_an_initialiser_gets_the_files_that_it_reads_for_its_language(tmp_path):
    for code in ("bg", "sw"):
        (tmp_path / f"en-{code}.txt").write_text(f"one {code}")
    made = plan(tmp_path, seeds=[1], initialisers=["random", "lexicon"],
                adapt={"lr": 1e-3, "resources": f"dictionary={tmp_path}/en-{{language}}.txt"})
    said = {}
    for job in (job for job in made.jobs.values() if job.stage == "adapt" and "standard" in job.id):
        words = list(map(str, job.words))
        cell = words[words.index("--initialiser") + 1], job.id.removeprefix("adapt/").partition("-")[0]
        said[cell] = [word for word in words if word.startswith("dictionary=")]
    assert said == {("random", "bg"): [], ("random", "sw"): [], ("lexicon", "bg"): [f"dictionary={tmp_path}/en-bg.txt"],
                    ("lexicon", "sw"): [f"dictionary={tmp_path}/en-sw.txt"]}


@pytest.mark.parametrize(("text", "said"), [
    ("[" * 200 + "]" * 200, "nested deeper"), ("[1]", "a JSON object, got a list"), ("{", "not valid JSON"),
    ('{"made": 3}', "'made' is 3"), ('{"fingerprint": ' + "9" * 5000 + "}", "thousands of digits")])
def test_a_record_of_a_ready_body_that_is_none_is_one_line(text, said, tmp_path):
    (tmp_path / "ready").mkdir()
    (tmp_path / "ready" / "body.json").write_text(text)
    with pytest.raises(UserError, match=said) as error:
        plan(tmp_path, arms={"ready": {"body": str(tmp_path / "ready")}})
    assert str(tmp_path / "ready" / "body.json") in str(error.value) and "\n" not in str(error.value)
