"""The app's page: the only place for Gradio."""
