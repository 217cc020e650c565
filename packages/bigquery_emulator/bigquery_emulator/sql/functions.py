"""BigQuery's functions of strings and arrays, and its aggregates, written for DuckDB.

Each function that is listed here, in number_functions.py or in time_functions.py, was compared with
BigQuery's documentation for NULLs, limits and result types. One that is not listed is answered 501.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlglot import exp

from bigquery_emulator.errors import unsupported
from bigquery_emulator.sql.scopes import type_of
from bigquery_emulator.sql.types import FLOAT64, array_of

Builder = Callable[[Any], exp.Expr]


@dataclass(frozen=True)
class Function:
    """How one of SQLGlot's nodes is written for DuckDB.

    Attributes:
        args: the node's arguments that are understood; any other is answered 501.
        build: makes the DuckDB expression of a node whose arguments are already DuckDB's. None if
            SQLGlot's own translation is right.
    """

    args: frozenset[str]
    build: Builder | None = None


def function(args: str, build: Builder | None = None) -> Function:
    """A `Function` of the arguments named in one string."""
    return Function(frozenset(args.split()), build)


def macro(name: str, *args: exp.Expr | None) -> exp.Expr:
    """A call of one of our macros, or of one of DuckDB's functions by its own name."""
    return exp.Anonymous(this=name, expressions=[arg for arg in args if arg is not None])


def literal(node: exp.Expr | None) -> str | None:
    """The text of a constant, also of one that was already given its type."""
    while isinstance(node, exp.Cast | exp.Paren):
        node = node.this
    if isinstance(node, exp.Literal):
        return str(node.this)
    if isinstance(node, exp.Neg) and (inner := literal(node.this)) is not None:
        return f"-{inner}"
    return None


def plain(name: str) -> Builder:
    """A function of one argument, by name."""
    return lambda node: macro(name, node.this)


def pair(name: str) -> Builder:
    """A function of two arguments, by name."""
    return lambda node: macro(name, node.this, node.expression)


def _concat(node: exp.Concat) -> exp.Expr:
    # Not DuckDB's concat, which passes over NULLs.
    joined: exp.Expr = macro("bq_text", node.expressions[0])
    for part in node.expressions[1:]:
        joined = exp.DPipe(this=joined, expression=macro("bq_text", part))
    return exp.Paren(this=joined)


def _substring(node: exp.Substring) -> exp.Expr:
    start, length = node.args.get("start") or exp.Literal.number(1), node.args.get("length")
    first = literal(start) or ""
    if first.isdecimal() and int(first) and (length is None or (literal(length) or "").isdecimal()):
        # The usual case. The macros repeat their arguments, which are repeated again within others.
        return macro("substring", macro("bq_text", node.this), start, length)
    return macro("bq_substr_length" if length else "bq_substr", node.this, start, length)


def _trim(node: exp.Trim) -> exp.Expr:
    name = {"LEADING": "ltrim", "TRAILING": "rtrim"}.get(str(node.args.get("position")), "trim")
    characters = node.args.get("expression") or macro("bq_whitespace")
    return macro(name, macro("bq_text", node.this), characters)


def _pad(node: exp.Pad) -> exp.Expr:
    fill = node.args.get("fill_pattern") or exp.Literal.string(" ")
    name = "bq_lpad" if node.args.get("is_left") else "bq_rpad"
    return macro(name, node.this, node.expression, fill)


def _split(node: exp.Split) -> exp.Expr:
    if not literal(node.expression):
        raise unsupported("SPLIT by an empty or computed delimiter")
    return macro("str_split", macro("bq_text", node.this), node.expression)


def pattern_and_groups(node: exp.Expr, name: str) -> tuple[str, int]:
    """The pattern that a function extracts, and how many capturing groups it has: at most one."""
    pattern = literal(node.expression)
    if pattern is None:
        raise unsupported(f"{name} with a computed pattern")
    try:
        groups = re.compile(pattern).groups
    except re.error as error:
        raise unsupported(f"the pattern of {name}: {error}") from error
    if groups > 1:
        raise unsupported(f"{name} with several capturing groups")
    return pattern, groups


def _regexp_extract(node: exp.RegexpExtract) -> exp.Expr:
    pattern, groups = pattern_and_groups(node, "REGEXP_EXTRACT")
    # A group that took no part is NULL to BigQuery; DuckDB does not tell it from an empty one.
    may_lack = groups and re.search(r"\)[?*]|\){0|\|", pattern)
    name = "bq_regexp_extract_optional" if may_lack else "bq_regexp_extract"
    return macro(name, node.this, node.expression, exp.Literal.number(groups))


def _like(node: exp.Like) -> exp.Expr:
    several = node.expression
    if isinstance(several, exp.Any | exp.All):
        inner = several.this
        patterns = inner.expressions if isinstance(inner, exp.Tuple) else [inner.unnest()]
        each = [_like(exp.Like(this=node.this.copy(), expression=one.copy())) for one in patterns]
        together = exp.or_ if isinstance(several, exp.Any) else exp.and_
        return exp.Paren(this=together(*each))
    pattern = literal(node.expression)
    if pattern is not None and "\\" not in pattern:
        return node
    return exp.Escape(this=node.copy(), expression=exp.Literal.string("\\"))


def _bracket(node: exp.Bracket) -> exp.Expr:
    if len(node.expressions) != 1:
        raise unsupported("array access with several positions")
    index = node.expressions[0]
    if int(node.args.get("offset") or 0) == 0:
        index = exp.Paren(this=exp.Add(this=index, expression=exp.Literal.number(1)))
    if node.args.get("safe"):
        # DuckDB counts negative indexes from the end; BigQuery answers NULL.
        inside = exp.GTE(this=index, expression=exp.Literal.number(1))
        return exp.Case(
            ifs=[exp.If(this=inside, true=macro("list_extract", node.this, index.copy()))]
        )
    return macro("bq_element", node.this, index)


def unnested(node: exp.Unnest) -> exp.Expr:
    """UNNEST ... WITH OFFSET: DuckDB counts from one, BigQuery from zero."""
    offset = node.args.get("offset")
    if not offset:
        return node
    alias = node.args.get("alias")
    names = alias.columns if alias else []
    element = names[0].copy() if names else exp.to_identifier("_element", quoted=True)
    position = offset.copy() if isinstance(offset, exp.Identifier) else exp.to_identifier("offset")
    counted = node.copy()
    counted.set("offset", exp.to_identifier("_position", quoted=True))
    counted.set(
        "alias",
        exp.TableAlias(this=exp.to_identifier("_counted"), columns=[element.copy()]),
    )
    one = exp.Literal.number(1)
    from_zero = exp.Sub(this=exp.column("_position", quoted=True), expression=one)
    columns = [exp.column(element), exp.alias_(from_zero, position)]
    return exp.select(*columns).from_(counted).subquery(element.copy())


def _bytes(node: exp.ByteString) -> exp.Expr:
    text = str(node.this)
    if not text.isascii() or "\\" in text:
        raise unsupported("BYTES literals with other than ASCII characters")
    return macro("encode", exp.Literal.string(text))


def negated(node: exp.Neg) -> exp.Expr:
    """A minus sign; the smallest INT64 is one constant, as its number without it is none."""
    if isinstance(node.this, exp.Literal) and node.this.is_int:
        text = exp.Literal.string(f"-{node.this.this}")
        return exp.Cast(this=text, to=exp.DataType.build("BIGINT"))
    return node


def _series(node: exp.GenerateSeries) -> exp.Expr:
    start, end = node.args["start"], node.args["end"]
    step = node.args.get("step") or exp.Cast(
        this=exp.Literal.number(1), to=exp.DataType.build("BIGINT")
    )
    floats = type_of(node) == array_of(FLOAT64)
    return macro("bq_float_series" if floats else "bq_series", start, end, step)


def _struct(node: exp.Struct) -> exp.Expr:
    if not all(isinstance(part, exp.PropertyEQ) for part in node.expressions):
        raise unsupported("STRUCTs with fields without names")
    return node


FUNCTIONS: dict[type[exp.Expr], Function] = {
    # Conditions.
    exp.Coalesce: function("this expressions"),
    exp.If: function("this true false"),
    # Strings.
    exp.ByteString: function("this is_bytes", _bytes),
    exp.Concat: function("expressions safe coalesce", _concat),
    exp.EndsWith: function("this expression"),
    exp.Left: function("this expression", pair("bq_left")),
    exp.Length: function("this binary", plain("bq_length")),
    exp.Like: function("this expression", _like),
    exp.Lower: function("this", plain("bq_lower")),
    exp.Pad: function("this expression fill_pattern is_left", _pad),
    exp.RawString: function("this", lambda node: exp.Literal.string(node.this)),
    exp.RegexpExtract: function(
        "this expression group null_if_pos_overflow null_if_no_match empty_if_group_missing",
        _regexp_extract,
    ),
    exp.RegexpLike: function("this expression", pair("regexp_matches")),
    exp.RegexpReplace: function(
        "this expression replacement",
        lambda node: macro(
            "regexp_replace",
            node.this,
            node.expression,
            node.args["replacement"],
            exp.Literal.string("g"),
        ),
    ),
    exp.Replace: function(
        "this expression replacement",
        lambda node: macro("bq_replace", node.this, node.expression, node.args["replacement"]),
    ),
    exp.Right: function("this expression", pair("bq_right")),
    exp.Split: function("this expression", _split),
    exp.StartsWith: function("this expression"),
    exp.StrPosition: function(
        "this substr", lambda node: macro("strpos", node.this, node.args["substr"])
    ),
    exp.Substring: function("this start length", _substring),
    exp.Trim: function("this expression position", _trim),
    exp.Upper: function("this", plain("bq_upper")),
    # Arrays and structs.
    exp.Array: function("expressions value_constructor struct_name_inheritance"),
    exp.ArraySize: function("this", plain("len")),
    exp.Bracket: function("this expressions offset safe", _bracket),
    exp.GenerateSeries: function("start end step is_end_exclusive", _series),
    exp.Struct: function("expressions", _struct),
}
