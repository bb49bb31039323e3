"""What rests on Gradio's own names: they are there, and they do what is asked of them."""

from __future__ import annotations

import gradio as gr
import pytest

from instructor_core.ui import gradio_patches
from instructor_core.ui.gradio_patches import event_data, forget_empty_sessions, missing_names


def served() -> tuple[gr.Blocks, gr.State, gr.Textbox]:
    with gr.Blocks(analytics_enabled=False) as demo:
        state, box = gr.State("nothing yet"), gr.Textbox()
    gr.routes.App.create_app(demo)
    return demo, state, box


def test_a_session_without_state_is_forgotten_and_one_with_state_is_kept() -> None:
    demo, state, box = served()
    for number in range(5):
        demo.state_holder[f"call {number}"]
    demo.state_holder["visitor"][state._id] = "typed"
    demo.state_holder["other page"][box._id] = gr.Textbox("changed", render=False)
    assert forget_empty_sessions(demo, idle_s=0) == 5
    assert set(demo.state_holder.session_data) == set(demo.state_holder.time_last_used) == {"visitor", "other page"}
    assert demo.state_holder["visitor"][state._id] == "typed"


def test_a_session_that_was_just_used_is_kept() -> None:
    demo, _, _ = served()
    demo.state_holder["call"]
    assert forget_empty_sessions(demo, idle_s=60) == 0
    assert "call" in demo.state_holder


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


def test_an_event_without_data_is_empty() -> None:
    assert event_data(gr.EventData(None, {"item": 3})) == {"item": 3}
    assert event_data(gr.EventData(None, None)) == {}
