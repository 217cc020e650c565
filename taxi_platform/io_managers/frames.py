"""Trips as pandas frames for users' assets, described and checked by dagster-pandas.

The platform itself uses only Arrow. This is imported only if a frame is requested, because pandas
takes more than a second to import.
"""

import warnings
from collections.abc import Sequence

import pandas as pd
import pyarrow as pa
from dagster import BetaWarning, DagsterType, Failure, TypeCheck
from dagster_pandas import PandasColumn, create_dagster_pandas_dataframe_type
from dagster_pandas.constraints import ColumnDTypeInSetConstraint

from taxi_platform.trips.schema import Column, columns

_PANDAS_TYPES = {
    pa.int16(): pd.Int16Dtype(),
    pa.int32(): pd.Int32Dtype(),
    pa.float64(): pd.Float64Dtype(),
    pa.string(): pd.StringDtype("python"),
}
"""Nullable types: a missing code must not turn its column into floats."""

_DTYPE_NAMES = {
    pa.timestamp("us"): "datetime64[us]",
    pa.date32(): "object",
    **{arrow: str(dtype) for arrow, dtype in _PANDAS_TYPES.items()},
}


def trip_frame_type(color: str, names: Sequence[str] | None = None) -> DagsterType:
    """The dagster-pandas type of a frame of trips, for assets that return one.

    Args:
        color: the color whose schema it has.
        names: the columns that it has; by default all.
    """
    chosen = [c for c in columns(color) if names is None or c.name in names]
    with warnings.catch_warnings():
        # The columns of dagster-pandas are in beta, and each would warn.
        warnings.simplefilter("ignore", BetaWarning)
        return create_dagster_pandas_dataframe_type(
            name=f"{color.capitalize()}TripFrame",
            description=f"{color} trips in the canonical schema",
            columns=[_pandas_column(column) for column in chosen],
        )


def _pandas_column(column: Column) -> PandasColumn:
    # Not dagster-pandas' own kinds of column: its times are nanoseconds, its integers not nullable.
    constraint = ColumnDTypeInSetConstraint({_DTYPE_NAMES[column.type]})
    return PandasColumn(column.name, constraints=[constraint])


def trip_frame(color: str, rows: pa.Table) -> pd.DataFrame:
    """Rows as a frame that ``trip_frame_type`` accepts.

    Raises:
        Failure: the rows are not trips of that color.
    """
    frame: pd.DataFrame = rows.to_pandas(types_mapper=_PANDAS_TYPES.get)
    check = trip_frame_type(color, rows.schema.names).type_check(None, frame)  # type: ignore[arg-type]
    if isinstance(check, TypeCheck) and not check.success:
        raise Failure(check.description or "not a frame of trips", allow_retries=False)
    return frame
