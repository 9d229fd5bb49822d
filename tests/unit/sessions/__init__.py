"""Tests of agent mail."""
