"""Tests of tombola; they run against the installed package."""
