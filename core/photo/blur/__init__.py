"""Faces and number plates in a photo, found by networks that wheels bring along, and painted over."""
