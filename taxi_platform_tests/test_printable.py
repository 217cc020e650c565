import pytest

from taxi_platform.printable import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a [green] :taxi: ü …", "a [green] :taxi: ü …"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("\x1b[2J\x1b]0;title\x07", "\\x1b[2J\\x1b]0;title\\x07"),
        ("\x9b31m", "\\x9b31m"),
        ("over\rwritten", "over\\x0dwritten"),
        ("a line\r\n", "a line\n"),
        ("rever\u202esed", "rever\\u202esed"),
        ("lone \udcff", "lone \\udcff"),
    ],
)
def test_what_would_act_on_a_terminal_is_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown
    printable(text).encode()
