"""The types of BigQuery's functions: in which order SQLGlot's nodes hold arguments, and signatures.

How a function is written for DuckDB is in functions.py and its siblings.
"""

from __future__ import annotations

from sqlglot import exp

_NUMBER = "INT64 -> INT64 | NUMERIC -> NUMERIC | FLOAT64 -> FLOAT64"
_FLOAT = "FLOAT64 -> FLOAT64"
_BOTH = "INT64, INT64 -> INT64 | FLOAT64, FLOAT64 -> FLOAT64"
_FLOATS = "FLOAT64, FLOAT64 -> FLOAT64"
_ROUNDED = "FLOAT64 -> FLOAT64 | NUMERIC -> NUMERIC"
_ROUNDED_TO = _ROUNDED + " | FLOAT64, INT64 -> FLOAT64 | NUMERIC, INT64 -> NUMERIC"
_SAME_TEXT = "STRING -> STRING | BYTES -> BYTES"
_TEXT_TWICE = "STRING, STRING -> {0} | BYTES, BYTES -> {0}"
_SHIFTED = "{0}, INT64 -> {0}"
_PADDED = "STRING, INT64, STRING? -> STRING | BYTES, INT64, BYTES? -> BYTES"
_WITH_ZONE = "STRING, {0}, STRING? -> STRING"

# Each: the arguments in order, by SQLGlot's names, and the signatures.
SIGNATURES: dict[type[exp.Expr], tuple[str, str]] = {
    # Aggregates and window functions.
    exp.AnyValue: ("this", "T -> T"),
    exp.ApproxDistinct: ("this", "T -> INT64"),
    exp.ApproxQuantiles: ("this expression", "T, INT64 -> ARRAY<T>"),
    exp.ArgMax: ("this expression", "T, U -> T"),
    exp.ArgMin: ("this expression", "T, U -> T"),
    exp.ArrayAgg: ("this", "T -> ARRAY<T>"),
    exp.ArrayConcatAgg: ("this", "ARRAY<T> -> ARRAY<T>"),
    exp.Avg: ("this", "FLOAT64 -> FLOAT64 | NUMERIC -> NUMERIC"),
    exp.BitwiseAndAgg: ("this", "INT64 -> INT64"),
    exp.BitwiseOrAgg: ("this", "INT64 -> INT64"),
    exp.BitwiseXorAgg: ("this", "INT64 -> INT64"),
    exp.Corr: ("this expression", _FLOATS),
    exp.CountIf: ("this", "BOOL -> INT64"),
    exp.CovarPop: ("this expression", _FLOATS),
    exp.CovarSamp: ("this expression", _FLOATS),
    exp.CumeDist: ("", "-> FLOAT64"),
    exp.DenseRank: ("", "-> INT64"),
    exp.FirstValue: ("this", "T -> T"),
    exp.GroupConcat: ("this separator", "STRING, STRING? -> STRING | BYTES, BYTES? -> BYTES"),
    exp.Lag: ("this offset default", "T -> T | T, INT64 -> T | T, INT64, T -> T"),
    exp.LastValue: ("this", "T -> T"),
    exp.Lead: ("this offset default", "T -> T | T, INT64 -> T | T, INT64, T -> T"),
    exp.LogicalAnd: ("this", "BOOL -> BOOL"),
    exp.LogicalOr: ("this", "BOOL -> BOOL"),
    exp.Max: ("this", "T -> T"),
    exp.Min: ("this", "T -> T"),
    exp.NthValue: ("this offset", "T, INT64 -> T"),
    exp.Ntile: ("this", "INT64 -> INT64"),
    exp.PercentRank: ("", "-> FLOAT64"),
    exp.PercentileCont: ("this expression", "FLOAT64, FLOAT64 -> FLOAT64"),
    exp.PercentileDisc: ("this expression", "T, FLOAT64 -> T"),
    exp.Rank: ("", "-> INT64"),
    exp.RowNumber: ("", "-> INT64"),
    exp.Stddev: ("this", _FLOAT),
    exp.StddevPop: ("this", _FLOAT),
    exp.StddevSamp: ("this", _FLOAT),
    exp.Sum: ("this", _NUMBER),
    exp.Variance: ("this", _FLOAT),
    exp.VariancePop: ("this", _FLOAT),
    exp.Cbrt: ("this", _FLOAT),
    exp.SafeAdd: ("this expression", _BOTH),
    exp.SafeSubtract: ("this expression", _BOTH),
    exp.SafeMultiply: ("this expression", _BOTH),
    exp.SafeNegate: ("this", "INT64 -> INT64"),
    # Conditions.
    exp.Coalesce: ("this expressions", "T... -> T"),
    exp.Greatest: ("this expressions", "T... -> T"),
    exp.If: ("this true false", "BOOL, T, T -> T"),
    exp.Least: ("this expressions", "T... -> T"),
    exp.Nullif: ("this expression", "T, T -> T"),
    # Numbers.
    exp.Abs: ("this", _NUMBER),
    exp.Ceil: ("this", _ROUNDED),
    exp.Exp: ("this", _FLOAT),
    exp.Floor: ("this", _ROUNDED),
    exp.IntDiv: ("this expression", "INT64, INT64 -> INT64 | NUMERIC, NUMERIC -> NUMERIC"),
    exp.IsInf: ("this", "FLOAT64 -> BOOL"),
    exp.IsNan: ("this", "FLOAT64 -> BOOL"),
    exp.Ln: ("this", _FLOAT),
    exp.Log: ("this expression", "FLOAT64, FLOAT64? -> FLOAT64"),
    exp.Mod: ("this expression", "INT64, INT64 -> INT64 | NUMERIC, NUMERIC -> NUMERIC"),
    exp.Pow: ("this expression", _FLOATS),
    exp.Round: ("this decimals", _ROUNDED_TO),
    exp.SafeDivide: (
        "this expression",
        "FLOAT64, FLOAT64 -> FLOAT64 | NUMERIC, NUMERIC -> NUMERIC",
    ),
    exp.Sign: ("this", _NUMBER),
    exp.Sqrt: ("this", _FLOAT),
    exp.Trunc: ("this decimals", _ROUNDED_TO),
    **dict.fromkeys(
        (exp.Sin, exp.Cos, exp.Tan, exp.Asin, exp.Acos, exp.Atan, exp.Sinh, exp.Cosh, exp.Tanh),
        ("this", _FLOAT),
    ),
    exp.Atan2: ("this expression", _FLOATS),
    exp.BitwiseAnd: ("this expression", "INT64, INT64 -> INT64"),
    exp.BitwiseOr: ("this expression", "INT64, INT64 -> INT64"),
    exp.BitwiseXor: ("this expression", "INT64, INT64 -> INT64"),
    exp.BitwiseNot: ("this", "INT64 -> INT64"),
    # Strings.
    exp.Ascii: ("this", "STRING -> INT64"),
    exp.ByteLength: ("this", "STRING -> INT64"),
    exp.Chr: ("expressions", "INT64 -> STRING"),
    exp.CodePointsToString: ("this", "ARRAY<INT64> -> STRING"),
    exp.MD5: ("this", "STRING -> STRING"),
    exp.SHA2Digest: ("this", "STRING -> BYTES | BYTES -> BYTES"),
    exp.ToCodePoints: ("this", "STRING -> ARRAY<INT64>"),
    exp.Unicode: ("this", "STRING -> INT64"),
    exp.Concat: ("expressions", "STRING... -> STRING | BYTES... -> BYTES"),
    exp.DPipe: (
        "this expression",
        "STRING, STRING -> STRING | BYTES, BYTES -> BYTES | ARRAY<T>, ARRAY<T> -> ARRAY<T>",
    ),
    exp.EndsWith: ("this expression", _TEXT_TWICE.format("BOOL")),
    exp.Initcap: ("this", "STRING -> STRING"),
    exp.Left: ("this expression", "STRING, INT64 -> STRING | BYTES, INT64 -> BYTES"),
    exp.Length: ("this", "STRING -> INT64 | BYTES -> INT64"),
    exp.Like: ("this expression", _TEXT_TWICE.format("BOOL")),
    exp.Lower: ("this", "STRING -> STRING"),
    exp.Pad: ("this expression fill_pattern", _PADDED),
    exp.RegexpExtract: ("this expression", "STRING, STRING -> STRING"),
    exp.RegexpExtractAll: ("this expression", "STRING, STRING -> ARRAY<STRING>"),
    exp.RegexpLike: ("this expression", "STRING, STRING -> BOOL"),
    exp.RegexpReplace: ("this expression replacement", "STRING, STRING, STRING -> STRING"),
    exp.Repeat: ("this times", "STRING, INT64 -> STRING"),
    exp.Replace: ("this expression replacement", "STRING, STRING, STRING -> STRING"),
    exp.Reverse: ("this", "STRING -> STRING"),
    exp.Right: ("this expression", "STRING, INT64 -> STRING | BYTES, INT64 -> BYTES"),
    exp.Split: ("this expression", "STRING, STRING? -> ARRAY<STRING>"),
    exp.StartsWith: ("this expression", _TEXT_TWICE.format("BOOL")),
    exp.StrPosition: ("this substr", "STRING, STRING -> INT64"),
    exp.Substring: (
        "this start length",
        "STRING, INT64, INT64? -> STRING | BYTES, INT64, INT64? -> BYTES",
    ),
    exp.Trim: ("this expression", "STRING, STRING? -> STRING"),
    exp.Upper: ("this", "STRING -> STRING"),
    exp.MD5Digest: ("this", "STRING -> BYTES | BYTES -> BYTES"),
    exp.LowerHex: ("this", "BYTES -> STRING"),
    exp.ToBase64: ("this", "BYTES -> STRING"),
    exp.JSONExtract: ("this", "STRING -> STRING"),
    exp.JSONExtractArray: ("this", "STRING -> ARRAY<STRING>"),
    exp.JSONExtractScalar: ("this", "STRING -> STRING"),
    exp.JSONValueArray: ("this", "STRING -> ARRAY<STRING>"),
    # Times.
    exp.AtTimeZone: ("this zone", "TIMESTAMP, STRING -> DATETIME"),
    exp.DateFromParts: ("year month day", "INT64, INT64, INT64 -> DATE"),
    exp.DateFromUnixDate: ("this", "INT64 -> DATE"),
    exp.TimestampFromParts: (
        "year month day hour min sec",
        "INT64, INT64, INT64, INT64, INT64, INT64 -> DATETIME",
    ),
    exp.TimeFromParts: ("hour min sec", "INT64, INT64, INT64 -> TIME"),
    exp.CurrentDate: ("this", "STRING? -> DATE"),
    exp.CurrentDatetime: ("this", "STRING? -> DATETIME"),
    exp.CurrentTimestamp: ("", "-> TIMESTAMP"),
    exp.Date: (
        "this zone",
        "TIMESTAMP, STRING? -> DATE | DATETIME -> DATE | DATE -> DATE | STRING -> DATE",
    ),
    exp.DateAdd: (
        "this expression",
        "DATE, INT64 -> DATE | DATETIME, INT64 -> DATETIME | TIMESTAMP, INT64 -> TIMESTAMP",
    ),
    exp.DateSub: (
        "this expression",
        "DATE, INT64 -> DATE | DATETIME, INT64 -> DATETIME | TIMESTAMP, INT64 -> TIMESTAMP",
    ),
    exp.DateDiff: (
        "this expression",
        "DATE, DATE -> INT64 | DATETIME, DATETIME -> INT64 | TIMESTAMP, TIMESTAMP -> INT64",
    ),
    exp.DateTrunc: ("this", "DATE -> DATE | DATETIME -> DATETIME | TIMESTAMP -> TIMESTAMP"),
    exp.Datetime: (
        "this expression",
        (
            "DATE, TIME -> DATETIME | TIMESTAMP, STRING -> DATETIME | DATE -> DATETIME "
            "| TIMESTAMP -> DATETIME | DATETIME -> DATETIME | STRING -> DATETIME"
        ),
    ),
    exp.DatetimeAdd: ("this expression", _SHIFTED.format("DATETIME")),
    exp.DatetimeSub: ("this expression", _SHIFTED.format("DATETIME")),
    exp.DatetimeDiff: ("this expression", "DATETIME, DATETIME -> INT64"),
    exp.DatetimeTrunc: ("this", "DATETIME -> DATETIME"),
    exp.LastDay: ("this", "DATE -> DATE | DATETIME -> DATE"),
    exp.ParseDatetime: ("this", "STRING -> DATETIME"),
    exp.ParseTime: ("this", "STRING -> TIME"),
    exp.StrToDate: ("this", "STRING -> DATE"),
    exp.StrToTime: ("this zone", "STRING, STRING? -> TIMESTAMP"),
    exp.Timestamp: (
        "this zone",
        (
            "STRING, STRING? -> TIMESTAMP | DATE, STRING? -> TIMESTAMP "
            "| DATETIME, STRING? -> TIMESTAMP | TIMESTAMP -> TIMESTAMP"
        ),
    ),
    exp.TimestampAdd: ("this expression", _SHIFTED.format("TIMESTAMP")),
    exp.TimestampSub: ("this expression", _SHIFTED.format("TIMESTAMP")),
    exp.TimestampDiff: ("this expression", "TIMESTAMP, TIMESTAMP -> INT64"),
    exp.TimestampTrunc: ("this zone", "TIMESTAMP, STRING? -> TIMESTAMP | DATETIME -> DATETIME"),
    exp.TimeAdd: ("this expression", _SHIFTED.format("TIME")),
    exp.TimeSub: ("this expression", _SHIFTED.format("TIME")),
    exp.TimeDiff: ("this expression", "TIME, TIME -> INT64"),
    exp.TimeTrunc: ("this", "TIME -> TIME"),
    exp.UnixDate: ("this", "DATE -> INT64"),
    exp.UnixMicros: ("this", "TIMESTAMP -> INT64"),
    exp.UnixMillis: ("this", "TIMESTAMP -> INT64"),
    exp.UnixSeconds: ("this", "TIMESTAMP -> INT64"),
    exp.UnixToTime: ("this", "INT64 -> TIMESTAMP"),
    # Arrays.
    exp.ArrayConcat: ("this expressions", "ARRAY<T>... -> ARRAY<T>"),
    exp.ArrayFirst: ("this", "ARRAY<T> -> T"),
    exp.ArrayLast: ("this", "ARRAY<T> -> T"),
    exp.ArrayReverse: ("this", "ARRAY<T> -> ARRAY<T>"),
    exp.ArraySize: ("this", "ARRAY<T> -> INT64"),
    exp.ArrayToString: ("this expression null", "ARRAY<STRING>, STRING, STRING? -> STRING"),
    exp.GenerateDateArray: ("start end", "DATE, DATE -> ARRAY<DATE>"),
    exp.GenerateSeries: (
        "start end step",
        (
            "INT64, INT64, INT64? -> ARRAY<INT64> | NUMERIC, NUMERIC, NUMERIC? -> ARRAY<NUMERIC> "
            "| FLOAT64, FLOAT64, FLOAT64? -> ARRAY<FLOAT64>"
        ),
    ),
}
