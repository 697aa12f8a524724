"""The configuration: what the YAML files, the schema and the command line say is the same thing."""

from __future__ import annotations

import dataclasses
import os
import shutil

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from mfpolicy import encoders, networks, objectives
from mfpolicy.config import (
    CollectConfig,
    EvalConfig,
    TrainConfig,
    TrainingConfig,
    compose,
    compose_preset,
    from_mapping,
    resolved_yaml,
    to_mapping,
)
from mfpolicy.config.composition import group_choices
from mfpolicy.config.convert import leaves
from mfpolicy.config.describe import describe
from mfpolicy.config.overrides import Override, parse
from mfpolicy.config.verbs import EXAMPLES
from mfpolicy.encoders.state import StateOptions
from mfpolicy.errors import ConfigError
from mfpolicy.options import parse_options
from mfpolicy.paths import config_dir

NEEDED = {
    "train": ["task=metaworld/drawer-open", "data=d.zarr", "out=runs/d"],
    "eval": ["runs/d"],
    "collect": ["task=metaworld/drawer-open", "out=d.zarr"],
    "serve": ["runs/d"],
    "export": ["runs/d"],
    "bench": [],
}
PRESETS = group_choices("train")["policy"]
COMPONENTS = [
    (kind, path.stem)
    for kind in ("encoder", "network", "objective")
    for path in sorted((config_dir() / kind).glob("*.yaml"))
]
REGISTRIES = {
    "encoder": encoders.ENCODERS,
    "network": networks.NETWORKS,
    "objective": objectives.OBJECTIVES,
}


@pytest.mark.parametrize("verb", NEEDED)
def test_the_example_of_every_verb_composes(verb):
    words = EXAMPLES[verb].split()
    assert words[:2] == ["mfpolicy", verb]
    assert compose(verb, words[2:])


@pytest.mark.parametrize("verb", NEEDED)
def test_typing_a_default_changes_nothing(verb):
    plain = compose(verb, NEEDED[verb])
    given_keys = {override.key for override in parse(NEEDED[verb], positional="run")}
    typed = [
        f"{option.key}={option.default}"
        for option in describe(verb)
        if option.key not in given_keys and not option.key.startswith("suite.")
    ]
    assert len(typed) > 5
    assert compose(verb, [*NEEDED[verb], *typed]) == plain


@pytest.mark.parametrize("verb", NEEDED)
def test_help_explains_every_key_of_the_schema(verb):
    options = {option.key: option for option in describe(verb)}
    config = to_mapping(compose(verb, NEEDED[verb]))
    keys = [key for key, _ in leaves(config) if not key.endswith(".name") and key != "suite"]
    assert set(keys) <= set(options)
    general = [key for key in keys if "." not in key or key.startswith(("training.", "logging."))]
    assert [key for key in general if not options[key].meaning] == []


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_composes_to_registered_parts(preset):
    config = compose_preset(preset)
    assert config.policy.name == preset
    assert config.encoder["name"] in encoders.names()
    assert config.network["name"] in networks.names()
    assert config.objective["name"] in objectives.names()


@pytest.mark.parametrize(("kind", "name"), COMPONENTS)
def test_every_component_file_names_options_that_exist(kind, name):
    values = yaml.safe_load((config_dir() / kind / f"{name}.yaml").read_text())
    known = REGISTRIES[kind].options(values.pop("name"))
    if kind == "encoder":
        parse_options(StateOptions, values.pop("state", None))
        beside = ("fusion", "history", "clouds", "relative_to", "relative_near_m")
        assert {values.pop(key) for key in beside} == {None}
        assert values.pop("relative_alone") is False
        values.pop("needs_color", None)
    assert set(values) <= set(known)


def test_training_values_of_the_preset_win_over_the_general_defaults():
    general = yaml.safe_load((config_dir() / "train.yaml").read_text())["training"]
    preset = yaml.safe_load((config_dir() / "policy" / "mp1.yaml").read_text())["training"]
    config = compose("train", [*NEEDED["train"], "policy=mp1"])
    assert {**general, **preset} == to_mapping(config.training)


def test_a_group_chosen_on_the_command_line_wins_over_the_preset():
    words = [*NEEDED["train"], "policy=mp1"]
    assert compose("train", words).network == compose_preset("mp1").network
    small = compose("train", [*words, "network=unet1d_small"])
    assert small.network == compose_preset("mp1_small").network
    assert small.objective == compose_preset("mp1").objective


@pytest.mark.parametrize("verb", NEEDED)
def test_a_saved_configuration_reads_back_equal(verb):
    config = compose(verb, NEEDED[verb])
    read = yaml.safe_load(yaml.safe_dump(to_mapping(config)))
    assert from_mapping(type(config), read) == config


def test_the_printed_configuration_is_the_composed_one():
    words = [*NEEDED["train"], "policy=mp1", "training.betas=[0.8,0.9]"]
    printed = yaml.safe_load(resolved_yaml("train", words))
    assert from_mapping(TrainConfig, printed) == compose("train", words)


@given(st.text(min_size=1).filter(lambda text: "\x00" not in text and text != "null"))
def test_text_of_any_kind_reaches_hydra_unharmed(text):
    from hydra.core.override_parser.overrides_parser import OverridesParser

    quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "'\""
    if quoted:
        return
    (override,) = OverridesParser.create().parse_overrides([Override("out", text).quoted()])
    assert override.value() == text


@pytest.mark.parametrize("path", ["runs/a,b", "run s/[1]", "a=b", "it's", "x\\", "{y}", "a:b", "1"])
def test_paths_with_signs_of_hydras_grammar_are_taken_as_they_are(path):
    assert compose("train", [*NEEDED["train"][:2], f"out={path}"]).out == path


def test_the_run_may_stand_anywhere_among_the_words():
    assert compose("eval", ["episodes=3", "runs/d"]) == compose("eval", ["runs/d", "episodes=3"])


def test_a_run_folder_with_an_equals_sign_is_still_the_run(tmp_path):
    run = tmp_path / "seed=3"
    run.mkdir()
    assert compose("eval", [str(run)]).run == str(run)


@pytest.mark.parametrize(
    ("verb", "words", "message"),
    [
        ("train", ["trainin.steps=3"], "'training.steps'"),
        ("train", ["steps=3"], "did you mean 'training.steps'?"),
        ("train", ["training.stepz=3"], "'training.steps'"),
        ("train", ["policy=mp1_smal"], "'mp1_small'"),
        ("train", ["objective=meanflw"], "'meanflow'"),
        ("train", ["objective.wieghting.power=1"], "'objective.weighting.power'"),
        ("train", ["training.steps=many"], "training.steps must be a whole number"),
        ("train", ["training.steps=1.5"], "training.steps must be a whole number"),
        ("train", ["training.steps=0"], "training.steps must be at least 1"),
        ("train", ["training.batch_size=-4"], "training.batch_size must be at least 1"),
        ("train", ["training.learning_rate=nan"], "training.learning_rate must be above 0"),
        ("train", ["training.learning_rate=fast"], "training.learning_rate must be a number"),
        ("train", ["training.betas=[0.9]"], "training.betas must be a list of 2 values"),
        ("train", ["training.betas=[0.9,1.0]"], "must lie in [0, 1)"),
        ("train", ["training.betas=[0.9"], "close brackets"),
        ("train", ["training=5"], "training is a group of options"),
        ("train", ["resume=maybe"], "resume must be one of false, true, force"),
        ("train", ["seed=true"], "seed must be a whole number"),
        ("train", ["seed=1,2,3"], "one value"),
        ("train", ["seed=-1"], "seed must be at least 0"),
        ("train", ["device=gpu"], "auto, cpu, cuda, cuda:N or mps"),
        ("train", ["logging.wandb=yes please"], "auto, offline, disabled"),
        ("train", ["policy.horizon=2"], "policy.horizon must hold the executed steps"),
        ("train", ["--resume"], "write resume=…"),
        ("train", ["--batch-size=4"], "write batch_size=4"),
        ("train", ["+training.extra=4"], "not added or removed"),
        ("train", ["out="], "out must not be empty"),
        ("train", ["resume"], "options must be written key=value"),
        ("train", ["=5"], "no space around ="),
        ("train", ["seed=1", "seed=2"], "each key must be given once"),
        ("eval", ["runs/d", "epsiodes=3"], "'episodes'"),
        ("eval", ["runs/d", "episodes=0"], "episodes must be at least 1"),
        ("eval", ["runs/d", "noise_scale=-1"], "noise_scale must be at least 0"),
        ("eval", ["runs/d", "noise_scale=half"], "noise_scale must be a number"),
        ("eval", ["runs/d", "runs/e"], "each key must be given once. Received: 'run'"),
        ("collect", ["epsodes=3"], "'episodes'"),
        ("collect", ["suite.point=3"], "'suite.points'"),
        ("collect", ["suite=metaworld"], "suite is a group of options"),
        ("collect", ["points=0"], "points must be at least 1"),
    ],
)
def test_a_mistake_is_named_with_its_remedy(verb, words, message):
    given_keys = {word.partition("=")[0] for word in words}
    needed = [word for word in NEEDED[verb] if word.partition("=")[0] not in given_keys]
    words = words if verb == "eval" else [*needed, *words]
    with pytest.raises(ConfigError) as caught:
        compose(verb, words)
    assert message in str(caught.value)


@pytest.mark.parametrize("verb", [verb for verb, words in NEEDED.items() if words])
def test_missing_mandatory_keys_are_all_named_with_an_example(verb):
    with pytest.raises(ConfigError) as caught:
        compose(verb, [])
    message = str(caught.value)
    needed = [option.key for option in describe(verb) if not option.default]
    assert all(f"{key}=…" in message for key in needed)
    assert EXAMPLES[verb] in message


def test_only_the_changed_suite_options_are_handed_to_the_environment():
    config = compose("collect", [*NEEDED["collect"], "suite.horizon=70", "suite.crop_min=[0,0,0]"])
    assert config.suite == {"horizon": 70, "crop_min": [0, 0, 0]}
    assert compose("collect", NEEDED["collect"]).suite == {}


@pytest.mark.parametrize("schema", [TrainConfig, EvalConfig, CollectConfig, TrainingConfig])
def test_an_unknown_key_in_a_saved_configuration_is_refused(schema):
    first = dataclasses.fields(schema)[0].name
    with pytest.raises(ConfigError, match=f"did you mean '{first}'"):
        from_mapping(schema, {f"{first}x": 1})


def test_composing_leaves_the_process_and_an_outer_hydra_as_they_were():
    from hydra import initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    where = os.getcwd()
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        outer = GlobalHydra.instance().config_loader().get_search_path()
        compose("train", NEEDED["train"])
        assert GlobalHydra.instance().is_initialized()
        assert str(GlobalHydra.instance().config_loader().get_search_path()) == str(outer)
    assert not GlobalHydra.instance().is_initialized()
    assert os.getcwd() == where


def test_a_new_file_in_a_group_is_a_new_choice(tmp_path, monkeypatch):
    configs = shutil.copytree(config_dir(), tmp_path / "configs")
    text = (configs / "network" / "unet1d_small.yaml").read_text()
    (configs / "network" / "mine.yaml").write_text(text.replace("kernel_size: 5", "kernel_size: 3"))
    monkeypatch.setattr("mfpolicy.config.composition.config_dir", lambda: configs)
    assert compose("train", [*NEEDED["train"], "network=mine"]).network["kernel_size"] == 3
