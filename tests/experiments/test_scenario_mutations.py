"""Random damage to good scenarios: what cannot be run is refused as bad input, never with a traceback."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

import cosim.experiments
from cosim.experiments.assignments import assignment
from cosim.experiments.build import Build
from cosim.experiments.scenario import Scenario
from cosim.models.errors import BadInputError

FOLDER = Path(cosim.experiments.__file__).parent / "scenarios"
ALL = {path.stem: tomllib.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.toml"))}
# Hundreds of worlds are made, so those whose network takes a second to convert or to draw are left out.
GOOD = {
    name: raw for name, raw in ALL.items() if not raw["grid"].get("network", "pandapower:").startswith("pandapower:")
}
MORE = {
    "grid": ["vm_min_pu", "vm_max_pu", "loading_percent", "drawn"],
    "people": [
        "only",
        "drawn",
        "strategies",
        "load_scale",
        "wind_scale",
        "battery_efficiency",
        "shiftable_delay_h",
        "car_kw",
    ],
    "tariff": ["kind", "markup_eur_per_kwh"],
    "market": ["mechanism", "fee_eur_per_kwh", "gate_lead_intervals"],
    "operator": ["envelopes", "curtailment", "tighten_rounds"],
    "forecast": ["kind", "share"],
    "negotiation": ["rounds", "steps", "day_gate_hour", "penalty", "ambiguity"],
    "inverter": ["reactive", "active", "q_u_pu", "p_u_pu", "kva_per_kw"],
    "reconfiguration": ["kind", "kicks", "operation_eur", "most_per_day", "on_violation", "on_error"],
    "profiles": ["files", "price", "price_unit"],
    "faults": ["operator", "meter", "silences", "wrong_meters", "branches", "price_gaps"],
    "time": ["interval_s", "zone"],
}
WORDS = [
    "",
    "fair",
    "dynamic",
    "village.csv",
    "ieee69",
    "pandapower:create_cigre_network_lv",
    "smoke-v1.toml",
    "/dev/zero",
]
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(0, 400),
    st.floats(),
    st.floats(0, 3),
    st.sampled_from(WORDS),
    st.text(max_size=20),
    st.datetimes(),
    st.lists(st.text(max_size=5) | st.integers(), max_size=3),
    st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5), max_size=2),
)


NEAR = [0.0, 0.01, 0.5, 0.9, 1.0, 1.1, 2.0, 3.0, 1000.0, -1.0]


def _near(value):
    """Draw values close to a good one, so that many damaged scenarios still make a world."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return st.sampled_from([0.1, 0.5, 0.95, 1, 1.0, 2]) if value is None else st.just(value)
    scaled = st.sampled_from(NEAR).map(lambda factor: value * factor)
    return scaled.map(round) if isinstance(value, int) else scaled


@st.composite
def damaged(draw):
    """Return a good scenario with one to three keys set, added or removed anywhere."""
    raw = _copy(GOOD[draw(st.sampled_from(sorted(GOOD)))])
    for _ in range(draw(st.integers(1, 3))):
        section = draw(st.sampled_from(["", *sorted(MORE), "bands"]))
        table = (
            raw if section == "" else raw["tariff"]["bands"][0] if section == "bands" else raw.setdefault(section, {})
        )
        if not isinstance(table, dict):
            continue
        key = draw(st.sampled_from(sorted({"name", *table, *MORE.get(section, [])})) | st.text(max_size=8))
        if draw(st.booleans()) and draw(st.booleans()):
            table.pop(key, None)
        else:
            table[key] = draw(st.one_of(_near(table.get(key)), VALUES))
        if section in {"", "tariff"} and not _still_has_bands(raw):
            break
    return raw


def _copy(value):
    if isinstance(value, dict):
        return {key: _copy(item) for key, item in value.items()}
    return [_copy(item) for item in value] if isinstance(value, list) else value


def _still_has_bands(raw):
    bands = raw["tariff"].get("bands") if isinstance(raw.get("tariff"), dict) else None
    return isinstance(bands, list) and bands and isinstance(bands[0], dict)


def outcome(load):
    """Build a world as a run would and return "world", or "refused" with faults that each say something."""
    try:
        Build(*load()).world()
    except BadInputError as error:
        complete = [fault.file and fault.key and fault.allowed for fault in error.faults]
        return "refused" if complete and all(complete) else "refused without a word"
    return "world"


def build(raw):
    """Build a world of nested dicts."""
    found = outcome(lambda: (Scenario.checked(raw, "damaged.toml"), FOLDER))
    event(found)
    assert found in {"world", "refused"}


@given(raw=damaged())
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_damage_ends_in_a_world_or_in_bad_input(raw):
    """Whatever is set, added or removed: nothing but BadInputError escapes from building a world."""
    build(raw)


@pytest.mark.campaign
@given(raw=damaged())
@settings(max_examples=10_000, deadline=None, suppress_health_check=list(HealthCheck))
def test_damage_ends_in_a_world_or_in_bad_input_ten_thousand_times(raw):
    """The same promise, looked at for longer."""
    build(raw)


@given(data=st.data(), which=st.sampled_from(["scenario.toml", "people.csv", "net.json", "series.csv"]))
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damaged_bytes_end_in_a_world_or_in_bad_input(tmp_path, data, which):
    """Bytes cut out, put in or changed in any file of a good folder: a world, or bad input."""
    bad = Path(__file__).parent.parent / "bad"
    texts = {
        "scenario.toml": (bad / "profiles" / "base.toml").read_bytes().replace(b"good.csv", b"series.csv"),
        "people.csv": (bad / "profiles" / "people.csv").read_bytes(),
        "three.json": (bad / "profiles" / "three.json").read_bytes(),
        "series.csv": (bad / "profiles" / "good.csv").read_bytes(),
    }
    target = "three.json" if which == "net.json" else which
    text = bytearray(texts[target])
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(text) - 1))
        taken = data.draw(st.integers(0, 3))
        text[place : place + taken] = data.draw(
            st.binary(max_size=3) | st.sampled_from([b"-", b"9", b",", b'"', b"e9"])
        )
        text = text or bytearray(b" ")
    for name, content in {**texts, target: bytes(text)}.items():
        (tmp_path / name).write_bytes(content)
    found = outcome(lambda: Scenario.load(str(tmp_path / "scenario.toml")))
    event(f"{which}: {found}")
    assert found in {"world", "refused"}


@given(text=st.text(max_size=40))
@settings(max_examples=100, deadline=None)
def test_any_text_after_set_is_read(text):
    """KEY=VALUE is split, anything else is bad input; a value that is no TOML is a text."""
    try:
        key, value = assignment(text, "--set")
    except BadInputError:
        assert "=" not in text or text.startswith("=")
    else:
        assert key == text.partition("=")[0].strip()
        assert value is not None
