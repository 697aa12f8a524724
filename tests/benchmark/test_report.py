"""What a report says of records whose outcomes are known."""

from __future__ import annotations

import dataclasses
import json
import re
from urllib.parse import unquote

import numpy as np
import pytest

from benchmark.synthetic import GROUPS, cell, grid
from mfpolicy.benchmark.record import CellRecord, Collected, CurvePoint, Evaluation, Outcome
from mfpolicy.benchmark.report import build_report, collect_records, select, write_report
from mfpolicy.benchmark.report.analysis import analyze, summary
from mfpolicy.benchmark.report.markdown import escaped
from mfpolicy.errors import ConfigError, RunError
from mfpolicy.evaluation.statistics import compare_paired, wilson_interval

PUSH, PEN = "metaworld/push", "adroit/pen"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The records of the grid as files."""
    records = tmp_path_factory.mktemp("records")
    for record in grid():
        record.save(records)
    return records


@pytest.fixture(scope="module")
def results(folder):
    return select(collect_records([folder]))


@pytest.fixture(scope="module")
def analysis(results):
    return analyze(results)


@pytest.fixture(scope="module")
def report(results):
    return build_report(results)


@pytest.fixture(scope="module")
def files(report, tmp_path_factory):
    return write_report(report, tmp_path_factory.mktemp("report") / "report.html")


def ends(record, any_up, end_up):
    """The record with so many successes at any step and at the end, of its 40 episodes."""
    last = record.evaluations["last"]
    episodes = tuple(
        Outcome(each.seed, place < any_up, place < end_up, 200, 0.0)
        for place, each in enumerate(last.episodes)
    )
    evaluations = record.evaluations | {"last": dataclasses.replace(last, episodes=episodes)}
    return dataclasses.replace(record, evaluations=evaluations)


def test_the_suite_says_which_success_decides():
    records = [ends(cell("mp1", task), 30, 20) for task in (PUSH, PEN)]
    said = analyze(select(records))
    assert (said.deciding()["mp1", PUSH].k, said.beside()["mp1", PUSH].k) == (30, 20)
    assert (said.deciding()["mp1", PEN].k, said.beside()["mp1", PEN].k) == (20, 30)


def test_training_seeds_are_pooled_with_wilsons_interval():
    records = [ends(cell("mp1", PUSH, seed), up, 0) for seed, up in ((0, 40), (1, 30), (2, 35))]
    rate = analyze(select(records)).deciding()["mp1", PUSH]
    assert (rate.k, rate.n) == (105, 120)
    assert rate.interval == wilson_interval(105, 120)
    text = build_report(select(records)).sections[1].tables[0].caption
    assert "3 training seeds together" in text


def test_means_are_over_the_tasks_that_all_methods_have(analysis):
    assert analysis.common == tuple(list(GROUPS)[:3])
    rates = [analysis.deciding()["mp1", task].rate for task in analysis.common]
    assert analysis.means["mp1", "all"].rate == pytest.approx(np.mean(rates))
    assert analysis.means["mp1", "easy"].rate == pytest.approx(np.mean(rates[:2]))
    assert ("mp1", "adroit") not in analysis.means
    assert any("dp3 has no record of 1 of 4 tasks: adroit/pen" in each for each in analysis.remarks)


def test_pairs_share_task_training_seed_and_evaluation_seed():
    shifted = cell("mp1_plus", PUSH, seeds=range(10_020, 10_060))
    records = [cell("mp1", PUSH), shifted, cell("mp1_plus", PUSH, seed=7), cell("mp1_plus", PEN)]
    said = analyze(select(records))
    (comparison,) = said.comparisons
    flags = [
        {e.seed: e.success_any for e in record.evaluations["last"].episodes}
        for record in (shifted, records[0])
    ]
    plain = compare_paired(*flags)
    assert comparison.overall.pairs == plain.n == 20
    assert comparison.overall.difference == plain.difference
    assert comparison.overall.interval == pytest.approx(plain.interval)
    assert comparison.overall.p_value == pytest.approx(plain.p_value)
    assert any("take the seeds that both have" in each for each in said.remarks)


def test_a_method_without_a_pair_is_told():
    records = [cell("mp1", PUSH), cell("mp1_plus", PEN)]
    said = analyze(select(records))
    assert said.comparisons == ()
    assert any("common to mp1 and mp1_plus" in each for each in said.remarks)
    assert said.common == ()
    text = [
        paragraph
        for section in build_report(select(records)).sections
        for paragraph in section.text
    ]
    assert "No task has records of all methods, so there is no mean to compare." in text


def test_the_honest_reading_follows_from_the_numbers():
    tasks = list(GROUPS)
    records = [ends(cell("mp1", task), 20, 18) for task in tasks]
    records += [ends(cell("good", task), 40, 40) for task in tasks]
    records += [ends(cell("alike", task), 21, 19) for task in tasks]
    reading = analyze(select(records)).reading
    assert any(re.match(r"Highest mean over 4 tasks: good, .* No other", each) for each in reading)
    assert any(each.startswith("good leads mp1: +51") for each in reading)
    assert any("good leads" in each and "significantly better on" in each for each in reading)
    assert any(each.startswith("alike is not told apart from mp1: +2.5") for each in reading)
    assert any(
        each.startswith("mp1 fails more often than not on 1 task: adroit") for each in reading
    )
    assert any("One training seed only: mp1, alike, good" in each for each in reading)


def test_intervals_that_overlap_are_not_ordered():
    records = [ends(cell("a", PUSH), 30, 0), ends(cell("b", PUSH), 29, 0)]
    (said, *_) = analyze(select(records)).reading
    assert "of 1 of the 1 others overlap" in said


def test_equal_methods_are_both_the_highest_and_none_is_emphasized():
    records = [ends(cell(name, PUSH), 30, 0) for name in "ab"]
    results = select(records)
    (said, *_) = analyze(results).reading
    assert said == "Highest mean over 1 task: a and b, 75.0 [59.8, 85.8] %."
    row = build_report(results).sections[1].tables[0].rows[0]
    assert not any(entry.strong for entry in row)


def test_many_tasks_make_no_task_significant_by_chance(analysis):
    for comparison in analysis.comparisons:
        smallest = min(each.result.p_value for each in comparison.tasks)
        adjusted = min(each.adjusted_p for each in comparison.tasks)
        assert adjusted == pytest.approx(min(1.0, smallest * len(comparison.tasks)))


def test_dp3_top5_needs_five_evaluations_of_every_cell(analysis):
    numbers = summary(analysis)
    assert numbers["success"]["mp1"][PUSH]["dp3_top5"] is not None
    assert numbers["success"]["dp3"][PUSH]["dp3_top5"] is None
    assert any(r.startswith("dp3_top5 is left empty") and "dp3" in r for r in analysis.remarks)


def test_dp3_top5_is_the_mean_of_the_five_best():
    def point(step, up):
        return CurvePoint(step, tuple(Outcome(s, s < up, False, 1, 0.0) for s in range(20)))

    curve = tuple(point(step, up) for step, up in enumerate((0, 20, 10, 5, 15, 10, 2)))
    numbers = summary(analyze(select([dataclasses.replace(cell("mp1", PUSH), curve=curve)])))
    assert numbers["success"]["mp1"][PUSH]["dp3_top5"] == pytest.approx(60 / 100)


def test_learning_curves_are_over_tasks_that_all_have_at_each_step(analysis):
    assert list(analysis.curves.points) == ["mp1"]
    assert list(analysis.curves.points["mp1"]) == [200, 400, 600, 800, 1000]
    assert analysis.curves.tasks == tuple(GROUPS)


def test_demonstrations_are_compared_on_the_tasks_that_have_all_numbers(analysis):
    assert analysis.results.demonstrations == 10
    assert analysis.demonstrations.tasks == (PUSH,)
    assert list(analysis.demonstrations.points["mp1_plus"]) == [3, 10]
    assert any("other numbers stand in the figure" in each for each in analysis.remarks)


def test_robustness_is_paired_with_the_same_policy(analysis):
    rows = {(row.name, row.method): row for row in analysis.perturbed}
    assert set(rows) == {
        ("cloud_noise_5mm", "mp1"), ("camera_2cm", "mp1"), ("cloud_noise_5mm", "mp1_plus"),
    }  # fmt: skip
    row = rows["camera_2cm", "mp1"]
    plain = np.mean([analysis.deciding()["mp1", task].rate for task in row.tasks])
    assert row.change.difference == pytest.approx(row.rate.rate - plain)
    assert row.change.interval[1] < 0


def test_of_two_records_of_a_cell_the_latest_counts_and_it_is_told():
    old = ends(cell("mp1", PUSH), 5, 0)
    new = dataclasses.replace(ends(cell("mp1", PUSH), 35, 0), time="2026-11-27T13:30:00+01:00")
    for order in ((old, new), (new, old)):
        said = analyze(select(order))
        assert said.deciding()["mp1", PUSH].k == 35
        assert any("several different records" in each for each in said.remarks)
    assert select([old, old]).duplicates == ()


def settings_remarks(*configs, **more):
    tasks = [PUSH, PEN, "metaworld/lever-pull"]
    records = [
        cell("mp1", task, config={"training.steps": 1000, "network.name": "unet"} | config, **more)
        for task, config in zip(tasks, configs, strict=True)
    ]
    return [r for r in analyze(select(records)).remarks if "same settings" in r]


def test_cells_with_other_settings_are_told_whatever_the_words():
    same_words = settings_remarks({}, {"network.name": "mlp_mixer"}, {})
    assert len(same_words) == 1
    assert "1 differ from most, in network.name: adroit/pen mp1 d10-s0." in same_words[0]
    assert "in ema.decay" in settings_remarks({}, {}, {"ema.decay": 0.5})[0]


def test_kept_snapshots_other_words_and_later_options_are_the_same_settings():
    assert settings_remarks({"training.snapshots": 5}, {}, {"augment": None}) == []
    records = [cell("mp1", task, overrides=(f"a={task}",)) for task in (PUSH, PEN)]
    assert not any("same settings" in r for r in analyze(select(records)).remarks)


def test_what_a_suites_state_leaves_without_meaning_is_no_other_setting():
    near = "encoder.relative_near_m"
    assert settings_remarks({near: [0.1]}, {near: None}, {near: [0.1]}) == []
    said = settings_remarks({near: [0.1]}, {near: None}, {near: None})
    assert f"in {near}: {PUSH} mp1 d10-s0." in said[0]


def test_unequal_budgets_are_told():
    def said(**more):
        long = dataclasses.replace(cell("mp1", PUSH).training, **more)
        records = [cell("mp1", PUSH), cell("dp3", PUSH, training=long)]
        return [r for r in analyze(select(records)).remarks if "equally long" in r]

    assert said() == said(steps=500, batch_size=128) == []
    assert said(steps=3000)[0].endswith("mp1 64,000; dp3 192,000.")


def test_cells_that_learnt_from_other_demonstrations_are_told():
    def said(*digests, tasks=(PUSH, PUSH), numbers=(10, 10)):
        records = [
            cell(method, task, demonstrations=n, collected=Collected(n, 985, n, 2.0, (0,), digest))
            for method, task, n, digest in zip(("mp1", "dp3"), tasks, numbers, digests, strict=True)
        ]
        return [r for r in analyze(select(records)).remarks if "come of the data" in r]

    assert said("a", "b")[0].endswith(f": {PUSH} (10).")
    assert said("a", "a") == said("a", None) == said("a", "b", tasks=(PUSH, PEN)) == []
    assert said("a", "b", numbers=(3, 10)) == []


def test_steps_and_perturbations_of_a_policy_tell_no_more_of_training_seeds_than_one():
    """Intervals of the same outcomes, given once or many times."""

    def made(seed, count):
        record = cell("mp1", PUSH, seed, chance=(0.8, 0.6, 0.4)[seed])
        last = record.evaluations["last"]
        worse = dataclasses.replace(
            last, episodes=cell("mp1", PUSH, seed, chance=0.3).evaluations["last"].episodes
        )
        return dataclasses.replace(
            record,
            evaluations={"last": last} | {f"noise_{n}": worse for n in range(count)},
            curve=tuple(CurvePoint(100 * n + 100, last.episodes) for n in range(count + 1)),
        )

    few, many = (analyze(select([made(s, count) for s in range(3)])) for count in (1, 6))
    means = [each.curves.points["mp1"][100] for each in (few, many)]
    changes = [each.perturbed[0].change for each in (few, many)]
    for once, often in (means, changes):
        assert often.interval == pytest.approx(once.interval)
        assert once.design_effect > 1


def test_times_of_different_machines_are_told():
    other = cell("mp1", PEN, machine={"cpu": "another", "cores": 8})
    said = analyze(select([cell("mp1", PUSH), other]))
    assert any("different machines" in each and "another, 8 cores" in each for each in said.remarks)


def test_records_without_latency_have_none():
    record = cell("mp1", PUSH)
    bare = {"last": Evaluation({}, 1.0, record.evaluations["last"].episodes)}
    results = select([dataclasses.replace(record, evaluations=bare)])
    (section,) = [s for s in build_report(results).sections if s.title == "Success and cost"]
    assert section.text == ("No time of a decision was recorded.",)
    assert [entry.text for entry in section.tables[0].rows[0]][3:6] == ["–"] * 3


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"methods": ["mp2"]}, "did you mean 'mp1'"),
        ({"baseline": "dp4"}, "did you mean 'dp3'"),
        ({"methods": ["dp3"], "baseline": "mp1"}, "Received: 'mp1'"),
        ({"demonstrations": 7}, "there are records of methods dp3, mp1, mp1_plus"),
        ({"tasks": ["metaworld/reach"]}, "no record is left"),
    ],
)
def test_what_is_not_there_is_refused(results, options, match):
    with pytest.raises(ConfigError, match=match):
        select((*results.records, *results.others), **options)


def test_methods_tasks_and_demonstrations_choose(results):
    everything = (*results.records, *results.others)
    chosen = select(everything, methods=["mp1_plus", "mp1"], tasks=[PUSH], demonstrations=3)
    assert chosen.methods == ("mp1_plus",)
    assert {r.method for r in chosen.others} == {"mp1_plus", "mp1"}
    assert chosen.baseline is None


def test_a_damaged_record_is_named(folder, tmp_path):
    path = cell("mp1", PUSH).save(tmp_path)
    path.write_text(path.read_text()[:-200])
    with pytest.raises(RunError, match=re.escape(str(path))):
        collect_records([folder, tmp_path])


def test_a_record_with_a_seed_twice_or_with_a_strange_time_is_named():
    twice = Evaluation({}, 1.0, cell("mp1", PUSH).evaluations["last"].episodes[:1] * 2)
    with pytest.raises(RunError, match="metaworld/push mp1 d10-s0"):
        select([cell("mp1", PUSH, evaluations={"last": twice})])
    with pytest.raises(RunError, match="ISO 8601"):
        select([cell("mp1", PUSH, time="yesterday")])


def test_no_records_are_refused(tmp_path):
    with pytest.raises(RunError, match="benchmark run"):
        collect_records([tmp_path])
    with pytest.raises(RunError, match="must lie in a folder"):
        collect_records([tmp_path / "missing"])


def test_all_files_are_written_and_the_markdown_shows_the_pictures(files):
    names = sorted(path.name for path in files[0].parent.iterdir())
    assert names == sorted(path.name for path in files)
    text = files[1].read_text()
    assert set(re.findall(r"\]\((.*?)\)", text)) == {n for n in names if n.endswith(".png")}
    numbers = json.loads((files[0].parent / "report_summary.json").read_text())
    assert numbers["success"]["dp3"].keys() == set(list(GROUPS)[:3])


def test_reports_in_one_folder_keep_clear_of_each_other_and_links_hold_in_any_name(tmp_path):
    made = build_report(select([cell("mp1", PUSH)]))
    (tmp_path / "summary.json").write_text("of an evaluation")
    one, other = (write_report(made, tmp_path / f"{name}.html") for name in ("my (1) report", "b"))
    assert not set(one) & set(other)
    assert (tmp_path / "summary.json").read_text() == "of an evaluation"
    links = re.findall(r"\]\((.*?)\)", one[1].read_text())
    assert links
    assert {unquote(link) for link in links} == {p.name for p in one if p.suffix == ".png"}
    assert not any(" " in link for link in links)


def test_the_tables_of_the_markdown_have_as_many_cells_as_their_heads(files):
    blocks = re.findall(r"(?:^\|.*\n?)+", files[1].read_text(), re.MULTILINE)
    assert len(blocks) >= 8
    for block in blocks:
        assert len({line.count("|") for line in block.strip().splitlines()}) == 1


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a|b\nc", r"a\|b c"),
        ("<script>", r"\<script\>"),
        ("[x](http://y)", r"[x]\(http://y)"),
        ("_a_ mp1_plus", r"\_a\_ mp1_plus"),
        ("![x]", r"\![x]"),
        ("`$&~*\\", r"\`\$\&\~\*\\"),
    ],
)
def test_markdown_shows_names_as_they_are(text, shown):
    assert escaped(text) == shown


def test_out_must_be_a_page(report, tmp_path):
    with pytest.raises(ConfigError, match=r"ends with \.html"):
        write_report(report, tmp_path / "report.pdf")


def test_records_are_read_as_they_were_made(folder):
    assert sorted(collect_records([folder]), key=repr) == sorted(grid(), key=repr)
    assert all(isinstance(each, CellRecord) for each in collect_records([folder]))
