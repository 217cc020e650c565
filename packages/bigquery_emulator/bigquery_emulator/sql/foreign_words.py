"""Words of other dialects that SQLGlot reads, and BigQuery does not know."""

from __future__ import annotations

from sqlglot.tokenizer_core import Token, TokenType

from bigquery_emulator.errors import ApiError, invalid_query

# Names under which SQLGlot knows functions that are listed as supported under BigQuery's names.
_FUNCTIONS = frozenset(
    """
    APPROX_DISTINCT APPROX_TOP_K ARGMAX ARGMIN ARG_MAX ARG_MIN ARRAYAGG ARRAY_CAT ARRAY_JOIN
    ARRAY_SIZE BITWISE_AND_AGG BITWISE_OR_AGG BITWISE_XOR_AGG BOOLAND_AGG BOOLOR_AGG BOOL_AND
    BOOL_OR CHAR CHARINDEX COUNT_IF DATEDIFF DATEFROMPARTS DATE_FROM_PARTS DATE_TO_DATE_STR ENDSWITH
    GENERATE_SERIES GEN_RANDOM_UUID GROUP_CONCAT HEX IIF ISINF ISNAN JSON_EXTRACT_PATH_TEXT
    JSON_FORMAT J_S_O_N_VALUE_ARRAY LAST_DAY_OF_MONTH LCASE LEFTPAD LEN LOCATE LOG2 LOWER_HEX
    MD5_DIGEST NVL POSITION RANDOM REGEXP_LIKE RIGHTPAD SAFE_FUNC SIGNUM STARTSWITH STDEV
    STR_POSITION STR_TO_DATE STR_TO_TIME S_H_A2_DIGEST TIMEFROMPARTS TIMESTAMPDIFF
    TIMESTAMPFROMPARTS TIMESTAMP_FROM_PARTS TIME_FROM_PARTS TIME_TO_STR TIME_TO_TIME_STR TRUNCATE
    TRY_CAST TS_OR_DS_TO_DATE TS_OR_DS_TO_DATETIME TS_OR_DS_TO_DATE_STR TS_OR_DS_TO_TIME
    TS_OR_DS_TO_TIMESTAMP UCASE UNIX_TO_TIME UUID UUID_STRING VARIANCE_POP VARIANCE_SAMP WEEK_START
    """.split()
)
_TYPES = frozenset(
    """
    ARRAY BIGDECIMAL BIGINT BIGNUMERIC BOOL BOOLEAN BYTEINT BYTES DATE DATETIME DECIMAL FLOAT64
    GEOGRAPHY INT INT64 INTEGER INTERVAL JSON NUMERIC RANGE SMALLINT STRING STRUCT TIME TIMESTAMP
    TINYINT
    """.split()
)
_SIGNS = {"%", "::", "{", "}"}
# Before a name in whose place no function can be.
_BEFORE_NAMES = {".", "INTO", "TABLE", "EXISTS", "VIEW"}


def check_words(tokens: list[Token]) -> None:
    """Refuses signs, functions and types that BigQuery does not have.

    Raises:
        ApiError: there is one.
    """
    casts: list[bool] = []  # of the open parentheses, which belong to a CAST
    for at, token in enumerate(tokens):
        if token.token_type in (TokenType.STRING, TokenType.IDENTIFIER):
            continue
        word = token.text.upper()
        before = tokens[at - 1].text.upper() if at else ""
        following = tokens[at + 1] if at + 1 < len(tokens) else None
        if word in _SIGNS:
            raise _at(token, f'Syntax error: Illegal input character "{token.text}"')
        if token.token_type is TokenType.L_PAREN:
            casts.append(before in ("CAST", "SAFE_CAST"))
        elif token.token_type is TokenType.R_PAREN and casts:
            casts.pop()
        elif word == "AS" and casts and casts[-1] and following is not None:
            if following.text.upper() not in _TYPES:
                raise _at(following, f"Type not found: {following.text}")
        elif (
            word in _FUNCTIONS
            and before not in _BEFORE_NAMES
            and following is not None
            and following.token_type is TokenType.L_PAREN
        ):
            raise _at(token, f"Function not found: {token.text}")


def _at(token: Token, message: str) -> ApiError:
    return invalid_query(f"{message} at [{token.line}:{token.col}]")
