"""Warnings are one line each, and the same text is said once a command."""

from __future__ import annotations

import logging

import pytest

from pretrain.base.notices import logged_warning, shown, warn


def test_what_is_logged_and_what_is_said_are_one_line_each_and_once(capsys):
    with shown():
        logging.getLogger("somewhere").warning("two of %d\n  lines", 3)
        warn("two of 3 lines")
        logging.getLogger("somewhere").info("no warning")
        logging.getLogger("somewhere").error("worse")
    assert capsys.readouterr().err == "relexify: warning: two of 3 lines\nrelexify: warning: worse\n"


def test_the_next_command_says_it_again(capsys):
    for _ in range(2):
        with shown():
            warn("again")
    assert capsys.readouterr().err.count("again") == 2


def test_without_a_command_nothing_is_swallowed(capsys):
    warn("from Python")
    warn("from Python")
    assert capsys.readouterr().err.count("from Python") == 2


@pytest.mark.parametrize(("line", "text"), [
    ("2026-01-01 00:00:00 | WARNING | fairseq.trainer | overflow | and more\n", "overflow | and more"),
    ("2026-01-01 00:00:00 | ERROR | x | worse", "worse"),
    ("2026-01-01 00:00:00 | INFO | valid | {}", None), ("WARNING: not a line of its log", None), ("", None)])
def test_warnings_of_a_log_are_told_by_their_level(line, text):
    assert logged_warning(line) == text
