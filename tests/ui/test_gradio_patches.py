"""What rests on Gradio's own names: they are there, and they do what is asked of them."""

import asyncio
import re
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from instructor_core.ui import gradio_patches
from instructor_core.ui.gradio_patches import first_files, forget_empty_sessions, missing_names, put_in_page


def served() -> tuple[gr.Blocks, gr.State, gr.Textbox]:
    with gr.Blocks(analytics_enabled=False) as demo:
        state, box = gr.State("nothing yet"), gr.Textbox()
    gr.routes.App.create_app(demo)
    return demo, state, box


def test_a_session_without_state_is_forgotten_and_one_with_state_or_just_used_is_kept() -> None:
    demo, state, box = served()
    for number in range(5):
        demo.state_holder[f"call {number}"]
    demo.state_holder["visitor"][state._id] = "typed"
    demo.state_holder["other page"][box._id] = gr.Textbox("changed", render=False)
    assert forget_empty_sessions(demo, idle_s=60) == 0 and "call 1" in demo.state_holder
    assert forget_empty_sessions(demo, idle_s=0) == 5
    assert set(demo.state_holder.session_data) == set(demo.state_holder.time_last_used) == {"visitor", "other page"}
    assert demo.state_holder["visitor"][state._id] == "typed"


def test_sessions_share_what_describes_the_page_and_keep_what_they_change_to_themselves() -> None:
    demo, _, box = served()
    gradio_patches.share_descriptions(demo)
    one, other = (demo.state_holder[name] for name in ("one", "other"))
    assert one.config_values == other.config_values == gr.state_holder.SessionState(demo).config_values
    one._update_value_in_config(box._id, "typed")
    assert "typed" not in str(other.config_values)
    with demo:
        added = gr.Textbox("of a render")  # once the session has begun: it is not described
    one.blocks_config.blocks[added._id] = added
    one._update_value_in_config(added._id, "typed into it")
    assert one.config_values[added._id]["props"]["value"] == "typed into it" and added._id not in other.config_values
    one[box._id] = gr.Textbox("changed", render=False)
    one._update_config(box._id)
    assert "changed" in str(one.config_values[box._id]) and "changed" not in str(
        demo.state_holder["third"].config_values
    )


@pytest.mark.parametrize("answer", ["list", "components", "nothing"])
def test_outputs_that_are_skipped_stay_as_they_are_and_the_others_arrive(answer: str) -> None:
    with gr.Blocks(analytics_enabled=False) as demo:
        state, first, second = gr.State("kept"), gr.Textbox(label="first"), gr.Textbox(label="second")
        gr.Button().click(lambda: None, None, [state, first, second])
    gr.routes.App.create_app(demo)
    (function,) = demo.fns.values()
    given: dict[str, Any] = {
        "list": [gr.skip(), gr.skip(), "new"],
        "components": {second: "new"},
        "nothing": gr.skip(),
    }
    expected = asyncio.run(demo.postprocess_data(function, given[answer], demo.state_holder["before"]))
    gradio_patches.leave_skipped_alone(demo)
    session = demo.state_holder["after"]
    assert asyncio.run(demo.postprocess_data(function, given[answer], session)) == expected
    assert session[first._id] is first  # Gradio would have made another one


def test_gradio_is_the_version_for_which_its_own_names_were_looked_up() -> None:
    """After an upgrade look up each name of `gradio_patches`, run the browser tests, then set RIGHT_FOR."""
    assert gr.__version__ == gradio_patches.RIGHT_FOR
    assert missing_names() == []


def test_a_name_that_is_gone_is_logged_and_stops_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delattr(gradio_patches.utils, "get_upload_folder")
    monkeypatch.setattr(gradio_patches, "RIGHT_FOR", "6.0")
    monkeypatch.setattr(gradio_patches.processing_utils, "async_ssrf_protected_download", None)
    gradio_patches.prepare(served()[0])
    version, names = (record.getMessage() for record in caplog.records)
    assert "tested with 6.0" in version and "has no gradio.utils.get_upload_folder:" in names


def test_the_page_names_the_files_of_its_components_before_any_script_runs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assets = Path(gr.__file__).parent / "templates" / "frontend" / "assets"
    page = (assets.parent / "index.html").read_text()
    assert all((assets / name).is_file() for name in first_files(page, {"html", "textbox"}))
    more = set(first_files(page, {"html", "textbox", "slider"})) - set(first_files(page, {"html", "textbox"}))
    assert 1 <= len(more) <= 5 and any("slider" in (assets / name).read_text() for name in more)
    monkeypatch.setattr(gradio_patches.routes.templates.env, "loader", None)
    demo, _, _ = served()
    assert put_in_page("<b>{{ first }}</b>", demo) == ""
    source = gradio_patches.routes.templates.get_template("frontend/index.html").render(
        config={"theme_hash": "abc"}, gradio_api_info={}
    )
    head = source.partition('<script type="module"')[0]
    assert "<b>{{ first }}</b>" in head and 'href="theme.css?v=abc"' in head
    assert head.count("modulepreload") >= 10 and "Blocks-" in head
    for kind, used in {
        "statustracker": ("resolve_args(e)", "update(e)", ".current"),
        "core": ("AppTree", "update_state(e,"),
    }.items():
        (script,) = (name for name in first_files(page, {"html"}) if re.fullmatch(rf"{kind}-.*\.js", name))
        assert all(words in (assets / script).read_text() for words in used)  # what the page changes in them
    monkeypatch.setattr(gradio_patches, "TEMPLATES", tmp_path)  # a page that is not as expected keeps its head
    assert put_in_page("<b>first</b>", served()[0]) == "<b>first</b>"
    assert "opens later" in caplog.text
