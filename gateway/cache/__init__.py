"""Answers that are kept and given again: what names them, and what worker and hub say to each other about them."""
