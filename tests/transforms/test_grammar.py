import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfs.savedmodel.errors import UsageError
from tfs.transforms.grammar import Call, joined, parse


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("foo", [Call("foo")]),
        ("foo()", [Call("foo")]),
        ("foo bar", [Call("foo"), Call("bar")]),
        ("foo()bar()", [Call("foo"), Call("bar")]),
        ("  foo\n\tbar(a=1)\n", [Call("foo"), Call("bar", (("a", "1"),))]),
        ("bar(a=1, b=2, a=3)", [Call("bar", (("a", "1"), ("b", "2"), ("a", "3")))]),
        ("bar(a=1 b=2)", [Call("bar", (("a", "1"), ("b", "2")))]),
        ("bar(,a=1)", [Call("bar", (("a", "1"),))]),
        ("bar ( a = 1 , b = 2 )", [Call("bar", (("a", "1"), ("b", "2")))]),
        ('bar(shape="1,299,299,3")', [Call("bar", (("shape", "1,299,299,3"),))]),
        ('bar(m="a\\"b", c=2)', [Call("bar", (("m", 'a\\"b'), ("c", "2")))]),
        ('bar(d="/job:a/device:CPU:0")', [Call("bar", (("d", "/job:a/device:CPU:0"),))]),
        ("bar(a=x/y-z_1.5)", [Call("bar", (("a", "x/y-z_1.5"),))]),
        ("bar(a=1\"', b=2)", [Call("bar", (("a", "1"), ("b", "2")))]),
    ],
)
def test_reads_what_the_old_tool_read(text: str, expected: list[Call]) -> None:
    assert list(parse(text)) == expected


@pytest.mark.parametrize(
    "given",
    [
        "foo(a=1) bar",
        ["foo(a=1)", "bar"],
        """[
            "foo(a=1)",
            "bar"
        ]""",
        "['foo(a=1)', 'bar']",
    ],
)
def test_takes_a_list_as_it_stands_in_a_script(given: str | list[str]) -> None:
    assert joined(given).split() == ["foo(a=1)", "bar"]


@pytest.mark.parametrize("text", ["[foo, bar]", '["foo"', "[1, 2]", "[]["])
def test_refuses_what_is_no_list_of_strings(text: str) -> None:
    with pytest.raises(UsageError, match="in brackets is no list of strings"):
        joined(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        ("  \n", "empty"),
        ("foo(", "`foo(` is not closed"),
        ("foo(a=1", "`foo(` is not closed"),
        ("foo(a", "transform `foo`: expected `=` behind argument `a` at the end"),
        ("foo(a=)", "argument `a` has no value at character 7"),
        ("foo(a=1:2)", "transform `foo`: expected the name of an argument at character 8"),
        ('foo(a="1)', "argument `a` has no value"),
        ("foo(=1)", "expected the name of an argument"),
        ("foo(a=1,,b=2)", "expected the name of an argument"),
        ("foo, bar", "expected the name of a transform at character 4"),
        ('"\\\n"', "expected the name of a transform"),
        ("foo)", "expected the name of a transform at character 4: `)`"),
    ],
)
def test_refuses_what_does_not_parse_and_says_where(text: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(text)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


_NAMES = st.from_regex(r"[A-Za-z0-9_]+", fullmatch=True)
_PLAIN = st.from_regex(r"[A-Za-z0-9_./-]+", fullmatch=True)
_QUOTED = st.text(st.characters(exclude_characters='"\\', exclude_categories=["Cs"]))


@given(st.lists(st.tuples(_NAMES, st.lists(st.tuples(_NAMES, st.one_of(_PLAIN, _QUOTED)))), min_size=1))
def test_reads_back_what_is_written_with_quotes(calls: list[tuple[str, list[tuple[str, str]]]]) -> None:
    written = [(name, ", ".join(f'{key}="{value}"' for key, value in arguments)) for name, arguments in calls]
    text = " ".join(f"{name}({arguments})" for name, arguments in written)
    assert parse(text) == tuple(Call(name, tuple(arguments)) for name, arguments in calls)


@given(st.text(alphabet=st.sampled_from("ab(=),\"' \\\n:1"), max_size=30))
def test_any_text_ends_in_transforms_or_an_error(text: str) -> None:
    with contextlib.suppress(UsageError):
        assert all(call.name for call in parse(text))
