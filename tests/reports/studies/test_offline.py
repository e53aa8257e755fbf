"""The offline study on the tiny log: with fakes for the road, with the real models for the fit."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from reports.pages.offline.page import render
from reports.pages.offline.text import replay
from reports.studies.offline import study as offline
from reports.studies.offline.comparisons import compared
from reports.studies.offline.measures import over_seeds
from reports.studies.offline.results import AVERAGES
from reports.studies.offline.slices import visible
from reports.studies.offline.study import OfflineConfig, models_of, run, settings
from simulator.config import validated
from simulator.datasets import READERS
from simulator.experiment import Cell
from tests.data.make_kuairand_tiny import EXPECTED, FOLDER
from tests.reports.run_contract import check_run

HERE = "tests.reports.studies.fakes"
RANKER = f"@{HERE}:ranker"
GOOD, BAD = f"{HERE}:retriever{RANKER}", f"{HERE}:contrary{RANKER}"


def config(**values: object) -> OfflineConfig:
    return OfflineConfig(**{"path": str(FOLDER), "arms": (BAD, GOOD), "seeds": (1, 2, 3), **values})


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("offline") / "run"


@pytest.fixture(scope="module")
def results(out: Path) -> dict:
    return run(config(), out)


def rows(results: dict) -> dict:
    return {row["name"]: row for row in results["rows"]}


def test_the_run_directory_is_whole(results: dict, out: Path) -> None:
    assert json.loads((out / "results.json").read_text()) == results
    names = {p.relative_to(out).as_posix() for p in out.rglob("*") if p.is_file()}
    assert {"manifest.json", "results.json", "timing.json", "index.html", "figures/by_day.svg"} <= names
    assert not [name for name in names if "aside" in name or name.startswith(("work", "progress"))]
    assert len([name for name in names if name.endswith("cell.json")]) == 3 * 3  # seeds x (ranker, two arms)
    assert (results["kind"], results["schema"]) == ("offline", 2)
    check_run(out, "offline", "rows", "contrasts", "slices", "by_day")


def test_measures_are_those_of_the_test_rows(results: dict, out: Path) -> None:
    data = offline.read(config())
    logit = np.load(out / "cells" / Cell(world=1, name=GOOD).path / "prequential.npy")
    label = data.impressions.label
    positives, negatives = logit[data.test & label], logit[data.test & ~label]
    wins = (positives[:, None] > negatives).mean() + 0.5 * (positives[:, None] == negatives).mean()
    assert rows(results)[GOOD]["auc"]["per_seed"][0] == pytest.approx(wins, abs=1e-9)
    p = 1 / (1 + np.exp(-logit[data.test].astype(float)))
    loss = -np.log(np.where(label[data.test], p, 1 - p)).mean()
    assert rows(results)[GOOD]["logloss"]["per_seed"][0] == pytest.approx(loss, rel=1e-6)


def test_rows_come_in_order_and_say_what_they_are(results: dict) -> None:
    assert [row["kind"] for row in results["rows"]] == ["averages", "averages", "ranker", "arm", "arm"]
    assert [row["name"] for row in results["rows"]][2:] == [f"ranker {HERE}:ranker", BAD, GOOD]
    assert rows(results)[GOOD]["auc"]["mean"] > 0.55 > 0.45 > rows(results)[BAD]["auc"]["mean"]


def test_averages_know_no_seed(results: dict) -> None:
    for name in AVERAGES:
        assert len(rows(results)[name]["auc"]["per_seed"]) == 1
        assert rows(results)[name]["auc"]["ci"] == [None, None]


def test_a_contrast_has_its_sign_and_both_kinds_of_chance(results: dict) -> None:
    (pair,) = results["contrasts"]
    assert (pair["control"], pair["treatment"]) == (BAD, GOOD)
    for found in (pair["auc"], pair["users"]):
        lo, hi = found["ci"]
        assert 0 < lo < found["effect"] < hi
    assert pair["logloss"]["effect"] < 0
    assert pair["n_seeds"] == 3


def test_the_log_is_described(results: dict) -> None:
    data = results["data"]
    assert data["duplicates"] == EXPECTED["duplicates"]
    assert sum(m["count"] for m in data["malformed"]) == EXPECTED["malformed"]
    assert data["train_rows"] + data["test_rows"] == data["kept"]
    assert sum(results["by_day"]["rows"]) == data["kept"]
    assert results["by_day"]["test"] == [False] * 10 + [True] * 4


def test_the_number_of_workers_changes_no_byte(results: dict, out: Path, tmp_path: Path) -> None:
    run(config(), tmp_path / "two", jobs=2)
    for name in ("results.json", "index.html"):
        assert (tmp_path / "two" / name).read_bytes() == (out / name).read_bytes()
    one, two = (json.loads((path / "manifest.json").read_text()) for path in (out, tmp_path / "two"))
    assert one | {"created": None} == two | {"created": None}
    assert one["seeds"] == [1, 2, 3]
    assert "path" not in one["config"]


def test_an_interrupted_run_goes_on(results: dict, tmp_path: Path) -> None:
    again = tmp_path / "again"
    run(config(), again)
    kept, lost, *_ = sorted((again / "cells").glob("*/*"))
    stamp = (kept / "cell.json").stat().st_mtime_ns
    shutil.rmtree(lost)
    (again / "results.json").unlink()
    assert run(config(), again) == results
    assert (kept / "cell.json").stat().st_mtime_ns == stamp
    assert (lost / "cell.json").exists()


def test_a_damaged_cell_is_one_line(tmp_path: Path) -> None:
    run(config(seeds=(1,)), tmp_path / "hurt")
    cell = tmp_path / "hurt" / "cells" / Cell(world=1, name=GOOD).path
    (cell / "frozen.npy").write_bytes(b"")
    with pytest.raises(
        ValueError, match=r"frozen.npy: damaged or incomplete \(.*; remove .* to compute it again$"
    ) as caught:
        run(config(seeds=(1,)), tmp_path / "hurt")
    assert "\n" not in str(caught.value)


def test_another_run_is_not_written_over(results: dict, out: Path) -> None:
    before = (out / "results.json").read_bytes()
    with pytest.raises(ValueError, match="holds another run"):
        run(config(seeds=(1, 2)), out)
    assert (out / "results.json").read_bytes() == before


def test_one_seed_has_no_interval_and_still_a_page(tmp_path: Path) -> None:
    results = run(config(seeds=(1,), arms=(GOOD,)), tmp_path / "one")
    assert rows(results)[GOOD]["auc"]["ci"] == [None, None]
    assert results["contrasts"] == []
    assert not (tmp_path / "one" / "figures" / "contrasts.svg").exists()
    assert "n/a" not in "\n".join(replay(results))


def test_the_page_says_so_when_an_arm_is_below_the_averages(results: dict) -> None:
    page = render(results, {})
    assert "Not above the smoothed averages" in page
    assert BAD in page.split("so no more than averages:")[1][:200]


def test_lines_fit_a_terminal(results: dict) -> None:
    text = replay(results)
    assert any(line.startswith("averages: user + video + tab") for line in text)
    assert any(line.startswith(f"{GOOD} - {BAD}: AUC +") for line in text)


def test_arms_of_one_ranker_share_it() -> None:
    arms = ("dssm", "dssm+cs3@dnn", GOOD, "dssm")
    assert models_of(config(arms=arms)) == ["@dnn", RANKER, "dssm", "dssm+cs3@dnn", GOOD]
    assert models_of(config(arms=("dssm",), rankers=("dnn-untrained",))) == ["@dnn", "@dnn-untrained", "dssm"]


def test_controls_have_the_settings_of_what_they_control() -> None:
    arms = ("dssm", "dssm+cms", "dssm+cms+shuffled", "dssm+cms@dnn-untrained", "dssm+cms[beta=0.5]", "dat")
    found = settings(config(arms=arms))
    assert found["dssm+cms"] == found["dssm+cms+shuffled"] == found["dssm+cms@dnn-untrained"]
    assert found["dssm+cms"] == found["dssm+cms[beta=0.5]"]
    assert found["@dnn"] == found["@dnn-untrained"]
    untuned = settings(config(arms=arms, tuned=False, retriever={"lr": 0.5}))
    assert {one["lr"] for name, one in untuned.items() if not name.startswith("@")} == {0.5}


def test_what_is_compared_with_what() -> None:
    found = compared(["dssm-bare", "dssm", "dssm+cas", "dssm-wide", "dssm-bare+cs3"])
    assert found == [
        ("dssm", "dssm+cas"),
        ("dssm", "dssm-wide"),
        ("dssm-bare", "dssm"),
        ("dssm-bare", "dssm-bare+cs3"),
        ("dssm-wide", "dssm+cas"),
    ]
    assert compared([BAD, GOOD]) == [(BAD, GOOD)]


@pytest.mark.parametrize("clicks", [False, True])
def test_what_was_visible_is_counted_as_a_loop_would(clicks: bool) -> None:
    log, sync = offline.read(config()).impressions, 7200
    found = visible(log, log.user, sync, clicks=clicks)
    for i in range(0, len(log), 37):
        now = log.time[i] // sync * sync
        known = (log.user == log.user[i]) & (log.ready_at <= now) & (np.arange(len(log)) < i)
        assert found[i] == (log.label[known].sum() if clicks else known.sum())


def test_cold_slices_have_their_own_comparisons(results: dict) -> None:
    (pair,) = results["contrasts"]
    for name, one in results["slices"].items():
        assert one["clicks"] <= one["rows"]
        assert (name in pair["slices"]) == (one["rows"] > 0)
    some = results["slices"]["videos with at most 3 clicks"]["rows"]
    assert 0 < some < results["data"]["test_rows"]


def test_the_frozen_mode_stands_beside_the_prequential_one(results: dict) -> None:
    row = rows(results)[GOOD]
    assert row["frozen"]["auc"]["mean"] != row["auc"]["mean"]
    assert rows(results)["averages: user + video"]["frozen"] is None
    (pair,) = results["contrasts"]
    assert pair["frozen"]["ci"][0] > 0
    assert pair["frozen_auc"]["effect"] == pytest.approx(pair["frozen"]["effect"], abs=1e-9)


def test_the_effect_over_users_is_the_mean_over_seeds(results: dict) -> None:
    (pair,) = results["contrasts"]
    assert pair["users"]["effect"] == pytest.approx(pair["auc"]["effect"], abs=1e-9)


def test_an_undefined_measure_is_none_not_nan() -> None:
    assert over_seeds([0.5, float("nan")])["mean"] is None


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"data": "kuairnd"}, "did you mean 'kuairand'"),
        ({"arms": ("dsm",)}, "did you mean 'dssm'"),
        ({"path": "nowhere"}, "must be a folder"),
    ],
)
def test_a_wrong_word_is_one_line(tmp_path: Path, values: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        run(config(**values), tmp_path / "none")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "none").exists()


def test_an_unknown_key_names_the_nearest() -> None:
    with pytest.raises(ValueError, match="unknown key 'label_wat'; did you mean 'label_wait'"):
        validated(OfflineConfig, {"path": ".", "label_wat": 3}, "--set")


def test_the_real_arms_replay_the_tiny_log(tmp_path: Path) -> None:
    """Six hours apart, so that the test stays small; nothing is claimed of the scores but that they are numbers."""
    small = {"embedding": 4, "hidden": (16, 64), "batch": 128}
    results = run(
        config(
            arms=("dssm-bare", "dssm", "dssm+cs3"),
            seeds=(1,),
            sync=6 * 3600,
            tuned=False,
            panel=10,
            noise=(0.0, 0.5),
            retriever={"embedding": 4, "hidden": (16,), "batch": 128, "negatives": 16},
            ranker=small,
        ),
        tmp_path / "real",
    )
    assert [row["name"] for row in results["rows"]][2:] == ["ranker dnn", "dssm-bare", "dssm", "dssm+cs3"]
    found = [row["auc"]["mean"] for row in results["rows"][2:]]
    assert all(0.3 < value < 0.95 for value in found)
    assert len(set(found)) == 4
    taus = [rows(results)[name]["tau"]["mean"] for name in ("dssm-bare", "dssm", "dssm+cs3")]
    assert all(-1 < value < 1 for value in taus)
    assert set(results["noise"]["scales"]["relative"]) == {"dssm", "dssm+cs3"}
    assert rows(results)["dssm"]["gap"] is None
    assert {found["mechanism"] for found in results["verdicts"]} == {"cs3"}


@pytest.mark.parametrize("reader", sorted(READERS))
def test_every_shipped_reader_is_replayed_through_a_tower_and_its_ranker(reader: str, tmp_path: Path) -> None:
    """The ads' features have other names in every log; only the catalogue's own columns may be counted on."""
    small = {"embedding": 4, "hidden": (8, 64), "batch": 128}
    results = run(
        config(
            data=reader,
            path=str(FOLDER.parent / f"{reader}-tiny"),
            arms=("dssm", "dssm@din", "dssm@bst"),
            seeds=(1,),
            sync=12 * 3600,
            tuned=False,
            panel=10,
            retriever={"embedding": 4, "hidden": (8,), "batch": 128, "negatives": 8},
            ranker=small,
        ),
        tmp_path / "run",
    )
    assert all(row["auc"]["mean"] is not None for row in results["rows"])


def test_no_bar_where_stderr_is_no_terminal(results: dict, out: Path, tmp_path: Path, capfd) -> None:
    run(config(seeds=(1,)), tmp_path / "silent", jobs=2)
    assert capfd.readouterr() == ("", "")


def test_labels_may_wait_for_days(tmp_path: Path) -> None:
    """Versions of what is read are kept as long as the longest wait asks for, not as long as the default does."""
    small = {"embedding": 4, "hidden": (16, 64), "batch": 128}
    results = run(
        config(
            arms=("dssm+cs3",),
            seeds=(1,),
            sync=6 * 3600,
            label_wait=3 * 86_400,
            tuned=False,
            retriever={"embedding": 4, "hidden": (16,), "batch": 128, "negatives": 16},
            ranker=small,
        ),
        tmp_path / "late",
    )
    assert all(row["auc"]["mean"] is not None for row in results["rows"])
