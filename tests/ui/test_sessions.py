"""Calls of programs leave nothing behind; what a visitor has entered stays."""

from __future__ import annotations

import gradio as gr

from instructor_core.ui.sessions import forget_empty_sessions


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
