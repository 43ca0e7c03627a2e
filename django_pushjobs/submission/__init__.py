"""What is asked of us: checked, and stored once."""
