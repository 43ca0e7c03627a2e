"""Tools on top of the ORM; they know no model of ours."""
