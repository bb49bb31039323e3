"""What runs behind the page: checkpoints and their queue, the gate, settings, and the API."""
