"""Tools on top of the ORM that know none of our models."""
