"""Scripts taken apart: statements, and the IF, LOOP, WHILE, REPEAT and BEGIN that hold them.

What a statement says is in parsing.py; how a script runs, in jobs/script.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from sqlglot import exp
from sqlglot.dialects.bigquery import BigQuery
from sqlglot.tokenizer_core import TokenType

from bigquery_emulator.errors import invalid_query, unsupported
from bigquery_emulator.sql.foreign_words import check_words
from bigquery_emulator.sql.parsing import (
    DEFINITIONS,
    SCRIPT_ONLY,
    parsed_statements,
    understanding_syntax,
)


@dataclass(frozen=True)
class Statement:
    """One statement, parsed, and as it was written."""

    tree: exp.Expr
    text: str


@dataclass(frozen=True)
class If:
    """The branches of an IF, each with its condition as a SELECT, and what happens otherwise."""

    branches: tuple[tuple[exp.Expr, tuple[Step, ...]], ...]
    otherwise: tuple[Step, ...]


@dataclass(frozen=True)
class Loop:
    """A LOOP, WHILE or REPEAT.

    Attributes:
        steps: what is repeated.
        while_: a SELECT of the condition before each round.
        until: a SELECT of the condition after each round.
    """

    steps: tuple[Step, ...]
    while_: exp.Expr | None = None
    until: exp.Expr | None = None


@dataclass(frozen=True)
class Block:
    """A BEGIN … END, and what its EXCEPTION WHEN ERROR does, if it has one."""

    steps: tuple[Step, ...]
    handler: tuple[Step, ...] | None = None


@dataclass(frozen=True)
class Jump:
    """BREAK, CONTINUE or RETURN."""

    kind: str


@dataclass(frozen=True)
class Immediate:
    """EXECUTE IMMEDIATE of what a SELECT gives."""

    text: exp.Expr


@dataclass(frozen=True)
class Transaction:
    """BEGIN, COMMIT or ROLLBACK of a transaction."""

    kind: str


@dataclass(frozen=True)
class AbortSession:
    """CALL BQ.ABORT_SESSION(): the end of the session, with its temporary tables."""


Step = Statement | If | Loop | Block | Jump | Immediate | Transaction | AbortSession

_JUMPS = {
    **dict.fromkeys(("BREAK", "LEAVE"), "BREAK"),
    **dict.fromkeys(("CONTINUE", "ITERATE"), "CONTINUE"),
    "RETURN": "RETURN",
}


def parsed_script(text: str) -> tuple[Step, ...]:
    """The steps of a query's text; a query of one statement has one.

    Raises:
        ApiError: it is not SQL, or SQL that is not supported.
    """
    with understanding_syntax():
        tokens = _Tokenizer(dialect="bigquery").tokenize(text)
        check_words(tokens)
    steps = _Reader(text, tokens).steps(())
    if not steps:
        raise invalid_query("Syntax error: Unexpected end of statement")
    return steps


def statements_of(steps: Sequence[Step]) -> Iterator[Statement]:
    """All statements, those within IF, loops and blocks included."""
    for step in steps:
        if isinstance(step, Statement):
            yield step
        elif isinstance(step, If):
            for _, inner in step.branches:
                yield from statements_of(inner)
            yield from statements_of(step.otherwise)
        elif isinstance(step, Loop):
            yield from statements_of(step.steps)
        elif isinstance(step, Block):
            yield from statements_of([*step.steps, *(step.handler or ())])


def is_script(steps: Sequence[Step]) -> bool:
    """Whether it takes more than one job."""
    first = steps[0]
    return len(steps) > 1 or not isinstance(first, Statement) or isinstance(first.tree, SCRIPT_ONLY)


def creates_temporary(tree: exp.Expr) -> bool:
    """Whether a statement is a CREATE TEMP TABLE."""
    properties = tree.args.get("properties") if isinstance(tree, DEFINITIONS) else None
    return properties is not None and any(
        isinstance(one, exp.TemporaryProperty) for one in properties.expressions
    )


class _Tokenizer(BigQuery.Tokenizer):
    """SQLGlot's, which takes what follows BEGIN, WHILE and others for one piece of text."""

    COMMANDS: ClassVar[set[TokenType]] = set()


class _Reader:
    """Reads steps from the tokens of a script."""

    def __init__(self, text: str, tokens: list[Any]) -> None:
        self._text = text
        self._tokens = tokens
        self._at = 0

    def steps(self, ends: tuple[str, ...]) -> tuple[Step, ...]:
        """Steps up to one of some words, or to the end of the text."""
        found: list[Step] = []
        while True:
            while self._type() is TokenType.SEMICOLON:
                self._at += 1
            if self._done():
                if ends:
                    raise invalid_query(
                        f"Syntax error: Expected keyword {ends[-1]} but got end of script"
                    )
                return tuple(found)
            if self._word() in ends:
                return tuple(found)
            found.append(self._step())
            if not self._done() and self._type() is not TokenType.SEMICOLON:
                raise self._unexpected('";"')

    def _step(self) -> Step:
        word, following = self._word(), self._word(1)
        if word == "IF":
            return self._if()
        if word == "WHILE":
            self._at += 1
            condition = self._expression("DO")
            return Loop(self._body("WHILE"), while_=condition)
        if word == "LOOP":
            self._at += 1
            return Loop(self._body("LOOP"))
        if word == "REPEAT":
            self._at += 1
            steps = self.steps(("UNTIL",))
            self._at += 1
            condition = self._expression("END")
            self._expect("REPEAT")
            return Loop(steps, until=condition)
        if word in ("BEGIN TRANSACTION", "COMMIT", "ROLLBACK") or (
            word == "BEGIN" and following in ("TRANSACTION", ";", "")
        ):
            return self._transaction(word.split()[0])
        if word == "BEGIN":
            return self._block()
        if word in _JUMPS and following in ("", ";"):
            self._at += 1
            return Jump(_JUMPS[word])
        if word == "EXECUTE" and following == "IMMEDIATE":
            return self._immediate()
        if word in ("FOR", "CASE", "RAISE", "ASSERT"):
            raise unsupported(f"{word} statements")
        return self._statement()

    def _if(self) -> If:
        self._at += 1
        branches = []
        while True:
            condition = self._expression("THEN")
            branches.append((condition, self.steps(("ELSEIF", "ELSE", "END"))))
            word = self._word()
            self._at += 1
            if word != "ELSEIF":
                break
        otherwise: tuple[Step, ...] = ()
        if word == "ELSE":
            otherwise = self.steps(("END",))
            self._at += 1
        self._expect("IF")
        return If(tuple(branches), otherwise)

    def _body(self, name: str) -> tuple[Step, ...]:
        steps = self.steps(("END",))
        self._at += 1
        self._expect(name)
        return steps

    def _block(self) -> Block:
        self._at += 1
        steps = self.steps(("EXCEPTION", "END"))
        handler = None
        if self._word() == "EXCEPTION":
            self._at += 1
            for word in ("WHEN", "ERROR", "THEN"):
                self._expect(word)
            handler = self.steps(("END",))
        self._expect("END")
        return Block(steps, handler)

    def _transaction(self, kind: str) -> Transaction:
        self._at += 1
        if self._word() == "TRANSACTION":
            self._at += 1
        return Transaction(kind)

    def _immediate(self) -> Immediate:
        self._at += 2
        first = self._at
        while not self._done() and self._type() is not TokenType.SEMICOLON:
            if self._word() in ("INTO", "USING"):
                raise unsupported(f"{self._word()} of EXECUTE IMMEDIATE")
            self._at += 1
        return Immediate(self._parsed_expression(first, self._at))

    def _statement(self) -> Step:
        first = self._at
        while not self._done() and self._type() is not TokenType.SEMICOLON:
            self._at += 1
        words = [token.text.upper() for token in self._tokens[first : self._at]]
        if words[:4] == ["CALL", "BQ", ".", "ABORT_SESSION"]:
            if words[4:] != ["(", ")"]:
                raise unsupported("BQ.ABORT_SESSION of another session")
            return AbortSession()
        text = self._piece(first, self._at)
        trees = parsed_statements(self._placed(first, text))
        return Statement(trees[0], text)

    def _expression(self, end: str) -> exp.Expr:
        """An expression up to a word that belongs to no CASE within it."""
        first, cases = self._at, 0
        while not self._done() and self._type() is not TokenType.SEMICOLON:
            if self._word() == end and cases == 0:
                found = self._parsed_expression(first, self._at)
                self._at += 1
                return found
            cases += {"CASE": 1, "END": -1}.get(self._word(), 0)
            self._at += 1
        raise self._unexpected(f"keyword {end}")

    def _parsed_expression(self, first: int, last: int) -> exp.Expr:
        if first == last:
            raise self._unexpected("an expression")
        text = f"SELECT {self._piece(first, last)}"
        tree: Any = parsed_statements(text)[0]
        if not isinstance(tree, exp.Select) or len(tree.expressions) != 1:
            raise self._unexpected("an expression")
        found: exp.Expr = tree
        return found

    def _piece(self, first: int, last: int) -> str:
        return self._text[self._tokens[first].start : self._tokens[last - 1].end + 1]

    def _placed(self, first: int, text: str) -> str:
        """The text with so many blanks before it that messages name its place in the script."""
        before = self._text[: self._tokens[first].start]
        return "".join(one if one == "\n" else " " for one in before) + text

    def _expect(self, word: str) -> None:
        if self._word() != word:
            raise self._unexpected(f"keyword {word}")
        self._at += 1

    def _unexpected(self, wanted: str) -> Exception:
        if self._done():
            return invalid_query(f"Syntax error: Expected {wanted} but got end of script")
        token = self._tokens[self._at]
        return invalid_query(
            f"Syntax error: Expected {wanted} but got {token.text} at [{token.line}:{token.col}]"
        )

    def _done(self) -> bool:
        return self._at >= len(self._tokens)

    def _type(self) -> Any:
        return None if self._done() else self._tokens[self._at].token_type

    def _word(self, ahead: int = 0) -> str:
        """A word or sign, in capitals; empty for names in backticks and texts, and at the end."""
        at = self._at + ahead
        if at >= len(self._tokens):
            return ""
        token = self._tokens[at]
        quoted = token.token_type in (TokenType.STRING, TokenType.IDENTIFIER)
        return "" if quoted else str(token.text).upper()
