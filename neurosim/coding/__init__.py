"""A trained network -> codes: each image of a set shown once, with learning off."""
