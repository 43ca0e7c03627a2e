"""How much a client may ask of us and we of a provider, and which backends are paused."""
