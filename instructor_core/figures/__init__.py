"""Results of `analysis` in, Plotly figures out. Nothing here computes, nothing here knows Gradio."""
