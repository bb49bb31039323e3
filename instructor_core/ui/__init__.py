"""The app's page: the only place for Gradio."""

from instructor_core.ui import gradio_patches  # noqa: F401  # before all others, as it says how Gradio is imported
