"""Figures and files of whole analyses: complete, escaped, self-contained, reproducible."""

from __future__ import annotations

import json
import re
import shlex
from collections import defaultdict
from dataclasses import replace
from html.parser import HTMLParser
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hydra import compose, initialize_config_dir
from scipy.stats import ttest_1samp

from initdist import names
from initdist.paths import conf_dir
from multirun_analysis import AnalysisError, figures, uptodate
from multirun_analysis.config import FOLDER, AnalysisConfig, Tracking, command, register, validate
from multirun_analysis.figures.panels import panels_of
from multirun_analysis.figures.style import t_bands
from multirun_analysis.labels import cell, number, term, value
from multirun_analysis.report import Material, html, markdown
from multirun_analysis.report.blocks import Bullets, Code, Heading, Table, Text
from multirun_analysis.report.sections import blocks
from multirun_analysis.session import Outcome, analyze
from multirun_analysis.stats import derived
from multirun_analysis.stats.closed_form import initial_norm, xavier_norm
from multirun_analysis.uptodate import MANIFEST


def part(outcome: Outcome) -> Material:
    """The one experiment of a report."""
    assert outcome.report is not None
    (found,) = outcome.report.parts
    return found


def settings(uri: str, out: Path, experiment: str = "initdist", **more: str) -> AnalysisConfig:
    return AnalysisConfig(tracking=Tracking(uri, experiment), out=str(out), **{"target": names.GAP, **more})


def redrawn(material: Material) -> dict[str, Any]:
    """The figures of a report, but for those of the histories."""
    none = pd.DataFrame(columns=["run_id", "metric", "step", "value"])
    return {d.name: d.figure for d in figures.draw(material.networks.used, material.results, none)}


@pytest.fixture(scope="module")
def outcome(planted, tmp_path_factory) -> tuple[Outcome, Path]:
    out = tmp_path_factory.mktemp("report")
    earlier = {
        "figures/norm_against_width.png": b"of an earlier analysis",
        "figures/gone.png": b"of an earlier version",
    }
    uptodate.write(out, earlier, ())
    return analyze(settings(planted.uri, out), out), out


def test_every_file_is_written_and_logged_to_the_run_of_the_sweep(outcome, planted):
    result, out = outcome
    drawn = [drawing.name for drawing in part(result).drawings if drawing.images is not None]
    assert len(drawn) == 12
    figure_files = {f"figures/{name}.{suffix}" for name in drawn for suffix in ("png", "svg", "pdf")}
    tables = {f"tables/{name}.{suffix}" for name in ("league", "claims", "configurations") for suffix in ("csv", "tex")}
    written = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert written == {"runs.csv", "statistics.json", "report.md", "report.html", MANIFEST} | figure_files | tables
    assert {path.relative_to(out).as_posix() for path in result.files} == written - {MANIFEST}
    client = planted.store.client
    logged = {item.path for item in client.list_artifacts(planted.parent, "analysis")}
    assert logged >= {"analysis/report.html", "analysis/runs.csv", "analysis/statistics.json"}
    assert len(client.list_artifacts(planted.parent, "analysis/figures")) == 36
    assert (out / "figures" / "norm_against_width.png").read_bytes().startswith(b"\x89PNG")


def test_the_answer_comes_first_and_holds_the_numbers(outcome):
    result, out = outcome
    statistics = json.loads((out / "statistics.json").read_text())["experiments"][0]
    found = statistics["results"]["associations"][1]["headline"]  # n varies: the distance is taken over √n
    low, high = (number(100 * found["interval"][end]) for end in ("low", "high"))
    expected = (
        "Within groups of equal n and p, networks farther from their initialization have a larger generalization gap: "
        f"{number(100 * found['slope'])} [{low}, {high}] percentage points for one standard deviation of the distance "
        "within a group (95% interval over configurations; 18 configurations in 6 groups). Whether the distance says "
        "more than the hyperparameters do is undecided: the partial correlation given the hyperparameters is "
    )
    assert statistics["answer"] == result.lines[0]
    assert result.lines[0].startswith(expected)
    assert "explanation" not in " ".join(result.lines)
    text = (out / "report.md").read_text()
    assert text.splitlines()[2] == "**" + re.sub(r"([\[\]])", r"\\\1", result.lines[0]) + "**"
    assert "Pooled over groups the slope is" in text
    slopes = statistics["results"]["associations"][0]
    assert slopes["within"]["slope"] == pytest.approx(0.01, abs=0.002)
    assert slopes["headline"]["slope"] == pytest.approx(found["slope"])  # of the distance and over √n alike


def test_runs_csv_holds_every_run(outcome, planted):
    frame = pd.read_csv(outcome[1] / "runs.csv")
    assert sorted(frame["run_id"]) == sorted(planted.run_ids)
    assert frame["excluded"].isna().all()
    assert {"model.width", "seed", names.DISTANCE, names.GAP, "identity", "stop_reason"} <= set(frame.columns)


class Page(HTMLParser):
    """Collects what a page would fetch, its tags and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.tags: list[str] = []
        self.open: list[str] = []
        self.attributes: list[str] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += [name for name, _ in attributes]
        self.links += [value for name, value in attributes if name in ("src", "href", "srcset", "data", "action")]
        if tag not in ("meta", "link", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words += data


def test_the_page_is_whole_and_fetches_nothing(outcome):
    text = (outcome[1] / "report.html").read_text()
    page = Page(text)
    assert page.open == []
    assert page.tags.count("img") == 13  # twelve figures, and the place where one is enlarged
    assert page.tags.count("script") == 1
    fetched = [
        link for link in page.links if not link.startswith(("data:", "#", "http://127.0.0.1:5000/#/experiments/"))
    ]
    assert fetched == []
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1]
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'sha256-")
    assert not re.search(r"url\(|@import", text)
    assert "prefers-color-scheme: dark" in text
    assert 'name="viewport"' in text


def test_captions_say_what_bands_and_samples_are(outcome):
    captions = {drawing.name: drawing.caption for drawing in part(outcome[0]).drawings}
    assert "Bands: its 95% t interval" in captions["gap_against_distance"]
    assert "95% t intervals of the mean over seeds" in captions["distance_against_width"]
    assert "18 networks of 54 are drawn" in captions["distance_against_step"]
    assert "2 n_in n_out/(n_in + n_out)" in captions["norm_against_width"]


def test_figures_have_axes_with_units_and_a_panel_each(outcome):
    drawings = redrawn(part(outcome[0]))
    gap = drawings["gap_against_distance"]
    assert gap.get_supylabel() == "generalization gap (percentage points)"
    assert gap.get_supxlabel() == "distance from initialization (ℓ2)"
    assert [axis.get_title() for axis in gap.axes] == ["n = 160", "n = 640"]
    assert len(gap.axes[0].lines) == 3
    norm = drawings["norm_against_width"]
    assert len(norm.axes) == 6
    assert norm.axes[0].get_xscale() == norm.axes[0].get_yscale() == "log"


def test_the_line_in_the_figure_is_the_slope_in_the_table(outcome):
    result = part(outcome[0])
    line = redrawn(result)["gap_against_distance"].axes[0].lines[0]
    x, y = line.get_xdata(), line.get_ydata()
    assert (y[-1] - y[0]) / (x[-1] - x[0]) == pytest.approx(100 * result.results.associations[0].within.slope)


def test_the_start_drawn_is_the_closed_form_of_the_norm(outcome):
    figure = redrawn(part(outcome[0]))["norm_against_width"]
    start = next(line for line in figure.axes[0].lines if line.get_linestyle() == ":")
    assert start.get_xdata().tolist() == [16, 64, 256]
    assert start.get_ydata().tolist() == pytest.approx([xavier_norm(64, width, 2, 10) for width in (16, 64, 256)])


def test_closed_form_of_one_layer_by_hand():
    assert xavier_norm(3, 5, 0, 6) == pytest.approx((2 * 3 * 6 / 9) ** 0.5)
    row = {"model.init": "xavier", "model.name": "mlp", "model.width": 4, "model.depth": 1, "input_shape": "1x2x2"}
    row |= {"classes": "4", "model.init_scale": 2.0}
    assert initial_norm(row) == pytest.approx(2 * (4 + 4) ** 0.5)
    assert pd.isna(initial_norm(row | {"model.name": "cnn"}))
    assert pd.isna(initial_norm(row | {"model.init": "he"}))
    assert pd.isna(initial_norm(row | {"input_shape": None}))


def test_the_same_store_gives_the_same_bytes(outcome, planted, tmp_path):
    analyze(settings(planted.uri, tmp_path), tmp_path)
    for name in ("runs.csv", "figures/gap_against_distance.svg", "figures/distance_against_step.png"):
        assert (tmp_path / name).read_bytes() == (outcome[1] / name).read_bytes()


def test_the_command_reproduces_the_settings_through_hydra(tmp_path):
    odd = AnalysisConfig(
        Tracking("sqlite:////a b/it's (1),x.db", "null"), "12e34", {"model": {"width": [64, "<=a b"], "name": None}},
        ["param_norm"], ["noise.level"], names.TEST_ERROR, "out dir/é=1\\",
    )  # fmt: skip
    words = shlex.split(command(odd, odd.tracking.uri))
    assert words[:3] == ["python", "-m", "multirun_analysis"]
    register()
    with initialize_config_dir(f"{conf_dir()}/{FOLDER}", version_base="1.3"):
        config = compose("analysis", words[3:])
    assert (config.tracking.uri, config.tracking.experiment) == (odd.tracking.uri, odd.tracking.experiment)
    assert (config.sweep, config.target, config.out) == (odd.sweep, odd.target, odd.out)
    assert (config.measures, config.group, config.where) == (odd.measures, odd.group, odd.where)


def test_a_password_stays_out_of_the_report():
    uri = "postgresql://me:secret@host/db"
    assert "secret" not in command(AnalysisConfig(), uri)
    assert "me:***@host" in command(AnalysisConfig(), uri)


def test_one_configuration_is_answered_clearly(small, tmp_path):
    result = analyze(settings(small.uri, tmp_path, "one-configuration"), tmp_path)
    assert result.lines[0].startswith("Undecided: the experiment holds one configuration, so nothing can be compared.")
    assert "Not logged to MLflow: the networks are not those of exactly one sweep" in result.lines
    text = (tmp_path / "report.md").read_text()
    assert "There is one configuration: no regression is possible." in text
    assert "Gap against distance: left out, there is one configuration only." in text
    assert "Distance against width: left out, the width does not vary" in text
    drawn = {path.stem for path in (tmp_path / "figures").iterdir()}
    assert drawn == {"distance_against_step", "distance_against_loss", "spread_over_seeds"}


def test_one_seed_is_drawn_without_bands_and_text_of_the_store_is_escaped(small, tmp_path):
    result = analyze(settings(small.uri, tmp_path, "one-seed"), tmp_path)
    assert result.lines[0].startswith(
        "In the one group of this experiment, it is undecided whether the generalization gap goes with the distance: "
        "4 configurations, but an interval needs at least 6. The slope is 1.12 percentage points for one standard "
        "deviation of the distance within a group. It describes the data and decides nothing."
    )
    assert len(list((tmp_path / "figures").iterdir())) == 24
    assert (
        "There is no band: 4 configurations, but an interval needs at least 6" in (tmp_path / "report.md").read_text()
    )
    notes = ("<script>alert(1)</script> | [x](http://y) `z`",)
    networks = part(result).networks
    frame = networks.frame.assign(run_name='<img src=x onerror="alert(2)">')
    bad = replace(networks, frame=frame, source=replace(networks.source, notes=notes, experiment="<script>"))
    content = blocks(replace(result.report, parts=[replace(part(result), networks=bad)], ui_url='http://a/"><script>'))
    page = html.render("<i>", content, defaultdict(bytes))
    assert page.count("<script") == 1
    assert "&lt;script&gt;alert(1)" in page
    assert Page(page).tags.count("script") == 1
    assert not any(name == "onerror" for name in Page(page).attributes)
    text = markdown.render("<i>", content)
    assert r"\<script\>alert(1)\</script\> \| \[x\](http://y) \`z\`" in text


def test_everything_left_out_is_in_the_report(messy, tmp_path):
    result = analyze(settings(messy.uri, tmp_path), tmp_path)
    assert "Left out: 3 unfinished, 1 duplicate, 4 invalid, 1 diverged" in "\n".join(result.lines)
    statistics = json.loads((tmp_path / "statistics.json").read_text())["experiments"][0]
    assert statistics["used"] + sum(statistics["left_out"].values()) == statistics["runs"]
    text = (tmp_path / "report.md").read_text()
    assert "| unfinished | the run's status is not FINISHED | 3 |" in text
    assert "1 run without the tag initdist.kind" in text
    assert "Sensitivity: the same regressions with 2 more networks, left out above" in text
    assert pd.read_csv(tmp_path / "runs.csv")["excluded"].notna().sum() == 14


def test_a_directory_that_cannot_be_written_is_refused(planted, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(AnalysisError, match=r"out=.*/file/reports must be a directory that can be written"):
        analyze(settings(planted.uri, tmp_path / "file" / "reports"), tmp_path)


def test_bad_settings_name_key_rule_and_value():
    with pytest.raises(AnalysisError, match=r"target must be one of generalization_gap, .* got 'gap'"):
        validate(AnalysisConfig(target="gap"))
    with pytest.raises(AnalysisError, match="out must be the path of a folder, got an empty text"):
        validate(AnalysisConfig(out=""))


def test_a_figure_without_its_data_gives_the_reason(outcome):
    material = part(outcome[0])
    frame = material.networks.used.drop(columns=names.measure("param_norm"))
    empty = pd.DataFrame({"run_id": [], "metric": [], "step": [], "value": []})
    drawings = {d.name: d for d in figures.draw(frame, material.results, empty)}
    assert drawings["norm_against_width"].figure is None
    assert drawings["norm_against_width"].caption == "no network has measure/param_norm"
    assert drawings["distance_against_step"].caption == "no network has a history of distance_from_init"


def test_histories_are_sampled_within_a_bound(outcome, monkeypatch):
    used, design = derived(part(outcome[0]).networks.used), part(outcome[0]).results.design
    assert len(figures.sampled_runs(used, design)) == 18
    monkeypatch.setattr(figures.history, "MAXIMUM_RUNS", 5)
    assert len(figures.sampled_runs(used, design)) == 5


def test_markdown_and_html_render_the_same_blocks():
    parts = [Heading("H"), Text("a*b", lead=True), Bullets(["x"]), Code("c ``` d"), Table(["k", "v"], [["p|q", "1"]])]
    text = markdown.render("T", parts)
    assert "## H" in text
    assert "**a\\*b**" in text
    assert "````\nc ``` d\n````" in text
    assert "| k | v |\n| --- | ---: |\n| p\\|q | 1 |" in text
    page = html.render("T", parts, {})
    assert '<p class="lead">a*b</p>' in page
    assert '<th scope="row" class="name">p|q</th><td>1</td>' in page


@pytest.mark.parametrize(
    ("item", "text"),
    [(0.83123, "0.831"), (-12.345, "−12.3"), (0, "0"), (None, "–"), (float("nan"), "–"), (1.2345e-7, "1.23e−07"),
     (123456.0, "123456"), (0.00051, "0.000510")],
)  # fmt: skip
def test_numbers_have_three_digits(item, text):
    assert number(item) == text


def test_cells_read_in_short_words():
    assert cell({"dataset.train_size": 1280.0, "noise.level": 0.5, "x.y": None}) == "n = 1280, p = 0.5, x.y = not set"
    assert (value(True), value("relu"), value(1e-3)) == ("True", "relu", "0.001")
    assert (term("log model.width"), term("loss.name=hinge")) == ("log width", "loss=hinge")


def test_bands_are_t_intervals_of_the_mean():
    frame = pd.DataFrame({"x": [1, 1, 1, 2], "y": [1.0, 2.0, 6.0, 5.0]})
    band = t_bands(frame, ["x"], "y")
    interval = ttest_1samp([1.0, 2.0, 6.0], 0).confidence_interval()
    assert (band["low"][0], band["high"][0]) == pytest.approx((interval.low, interval.high))
    assert band["y"].tolist() == [3.0, 5.0]
    assert pd.isna(band["low"][1])


def test_more_panels_than_fit_are_thinned_with_their_ends_kept():
    frame = pd.DataFrame(list(product(range(1, 7), (0.0, 0.5, 1.0), ("a", "b"))), columns=["n", "p", "m"])
    panels = panels_of(frame, ["n", "p", "m"])
    assert (len(panels.frames), panels.total) == (12, 36)
    assert panels.titles[0] == "n = 1, p = 0, m = a"
    assert panels.titles[-1] == "n = 6, p = 1, m = b"
    assert panels.note == " 12 of 36 panels are drawn, spread over the levels."
    assert panels_of(frame, ["p", "m"]).note == ""
    assert panels_of(frame, ["p", "m"]).columns == 2


def test_panels_of_axes_that_are_not_crossed_are_those_that_there_are():
    """A grid with an arm: other batch sizes at one depth and one rate only."""
    whole = list(product((1, 2, 3), (0.03, 0.1, 0.3), (64,), (32, 64, 128)))
    arm = list(product((2,), (0.1,), (16, 256), (32, 64, 128)))
    frame = pd.DataFrame([*whole, *arm], columns=["depth", "lr", "batch", "width"])
    panels = panels_of(frame, ["lr", "batch", "depth", "width"])
    assert (len(panels.frames), panels.total) == (12, 33)
    assert all(len(one) == 1 for one in panels.frames)
    assert panels.titles[0] == "lr = 0.03, batch = 64, depth = 1, width = 32"
    assert panels.titles[-1] == "lr = 0.3, batch = 64, depth = 3, width = 128"
    assert len({*panels.titles}) == 12


def test_a_column_that_is_empty_in_every_row_is_dropped():
    table = Table(["k", "v", "note"], [["a", "1", ""], ["b", "2", ""]])
    assert table.without("note") == Table(["k", "v"], [["a", "1"], ["b", "2"]])
    filled = Table(["k", "note"], [["a", ""], ["b", "x"]])
    assert filled.without("note") is filled
