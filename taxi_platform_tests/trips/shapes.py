"""The CSV formats in which months were published since 2009, with generated rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from random import Random

from taxi_platform.trips.month import TripMonth


@dataclass(frozen=True)
class Shape:
    """The CSV format of some months.

    Attributes:
        month: the first of these months.
        names: the header, as in the file.
        beyond: number of empty fields per row beyond the header.
        blank: whether a blank line follows the header, which then ends without a carriage return.
        words: values of columns that this era writes differently, by name in lower case.
    """

    month: TripMonth
    names: tuple[str, ...]
    beyond: int = 0
    blank: bool = False
    words: Mapping[str, Sequence[str]] | None = None

    def __str__(self) -> str:
        return self.month.stem

    @property
    def head(self) -> bytes:
        """The bytes above the first row."""
        return ",".join(self.names).encode() + (b"\n\r\n" if self.blank else b"\r\n")

    def fields(self, random: Random) -> list[str]:
        """The fields of a trip that have a name in the header."""
        first = datetime.combine(self.month.month, time())
        pickup = first + timedelta(seconds=random.randrange(28 * 86_400))
        dropoff = pickup + timedelta(seconds=random.randrange(4_000))
        return [self._field(name.strip().lower(), pickup, dropoff, random) for name in self.names]

    def row(self, random: Random) -> str:
        """A trip as a line without a line ending."""
        return ",".join(self.fields(random)) + "," * self.beyond

    def _field(self, name: str, pickup: datetime, dropoff: datetime, random: Random) -> str:
        if self.words and name in self.words:
            return random.choice(self.words[name])
        if "pickup_datetime" in name:
            return str(pickup)
        if "dropoff_datetime" in name:
            return str(dropoff)
        if name.endswith(("longitude", "lon")):
            return f"{-74 + random.random():.15f}"
        if name.endswith(("latitude", "lat")):
            return f"{40 + random.random():.15f}"
        if name.endswith("locationid"):
            return str(random.randrange(1, 266))
        if name in ("vendorid", "payment_type", "ratecodeid", "trip_type", "passenger_count"):
            return random.choice("12")
        if name == "store_and_fwd_flag":
            return random.choice("NNNY")
        if name == "ehail_fee":
            return ""
        return random.choice(["0", "0.5", ".50", "2.6299999999999999", "-3", "12.35", "1e1"])


_GREEN = (
    "VendorID lpep_pickup_datetime lpep_dropoff_datetime store_and_fwd_flag RatecodeID "
    "PULocationID DOLocationID passenger_count trip_distance fare_amount extra mta_tax tip_amount "
    "tolls_amount ehail_fee improvement_surcharge total_amount payment_type trip_type"
)
_GREEN_PLACES = _GREEN.replace(
    "PULocationID DOLocationID",
    "Pickup_longitude Pickup_latitude Dropoff_longitude Dropoff_latitude",
)
_YELLOW_2009 = (
    "vendor_name Trip_Pickup_DateTime Trip_Dropoff_DateTime Passenger_Count Trip_Distance "
    "Start_Lon Start_Lat Rate_Code store_and_forward End_Lon End_Lat Payment_Type Fare_Amt "
    "surcharge mta_tax Tip_Amt Tolls_Amt Total_Amt"
)
_YELLOW_2010 = (
    "vendor_id pickup_datetime dropoff_datetime passenger_count trip_distance pickup_longitude "
    "pickup_latitude rate_code store_and_fwd_flag dropoff_longitude dropoff_latitude payment_type "
    "fare_amount surcharge mta_tax tip_amount tolls_amount total_amount"
)
_YELLOW = (
    "VendorID tpep_pickup_datetime tpep_dropoff_datetime passenger_count trip_distance RatecodeID "
    "store_and_fwd_flag PULocationID DOLocationID payment_type fare_amount extra mta_tax "
    "tip_amount tolls_amount improvement_surcharge total_amount"
)
_YELLOW_PLACES = (
    "VendorID tpep_pickup_datetime tpep_dropoff_datetime passenger_count trip_distance "
    "pickup_longitude pickup_latitude RateCodeID store_and_fwd_flag dropoff_longitude "
    "dropoff_latitude payment_type fare_amount extra mta_tax tip_amount tolls_amount "
    "improvement_surcharge total_amount"
)

_WORDS_2009 = {
    "vendor_name": ["CMT", "VTS", "DDS"],
    "payment_type": ["CASH", "Cash", "Credit", "CREDIT", "No Charge", "Dispute"],
    "rate_code": ["", "1", "2.0"],
    "store_and_forward": ["", "0", "1"],
    "passenger_count": ["1", "2.0", "5"],
}
_WORDS_2010 = {
    "vendor_id": ["CMT", "VTS", "DDS"],
    "payment_type": ["CRE", "CAS", "Cas", "Cre", "CSH", "CRD", "NOC", "No ", "DIS", "UNK", "NA "],
    "rate_code": ["1", "2"],
    "store_and_fwd_flag": ["0", "1", "", "N", "Y"],
}
_NULLS = {
    "vendorid": ["1", "2", "", "1.0"],
    "passenger_count": ["1", "", "2.0"],
    "ratecodeid": ["1", "", "99.0"],
    "store_and_fwd_flag": ["N", "Y", ""],
    "payment_type": ["1", "2", ""],
    "congestion_surcharge": ["2.5", "0", ""],
}


def _shape(
    color: str,
    month: str,
    names: str,
    *,
    beyond: int = 0,
    blank: bool = False,
    separator: str = " ",
    words: Mapping[str, Sequence[str]] | None = None,
) -> Shape:
    first = date.fromisoformat(f"{month}-01")
    return Shape(TripMonth(color, first), tuple(names.split(separator)), beyond, blank, words)


SHAPES = (
    _shape(
        "green",
        "2013-08",
        _GREEN_PLACES.replace(" improvement_surcharge", "").replace(" ", "|") + " ",
        beyond=2,
        blank=True,
        separator="|",
    ),
    _shape("green", "2015-01", _GREEN_PLACES, beyond=2),
    _shape("green", "2015-07", _GREEN_PLACES),
    _shape("green", "2016-01", _GREEN_PLACES, blank=True),
    _shape("green", "2016-07", _GREEN, beyond=2, blank=True),
    _shape("green", "2017-01", _GREEN, blank=True),
    _shape("green", "2019-01", f"{_GREEN} congestion_surcharge"),
    _shape("green", "2020-11", f"{_GREEN} congestion_surcharge", words=_NULLS),
    _shape("yellow", "2009-01", _YELLOW_2009, blank=True, words=_WORDS_2009),
    _shape("yellow", "2010-01", _YELLOW_2010, blank=True, words=_WORDS_2010),
    _shape(
        "yellow",
        "2014-01",
        _YELLOW_2010.replace(" ", "| "),
        blank=True,
        separator="|",
        words=_WORDS_2010,
    ),
    _shape("yellow", "2015-01", _YELLOW_PLACES),
    _shape("yellow", "2015-07", _YELLOW_PLACES.replace("RateCodeID", "RatecodeID")),
    _shape("yellow", "2016-07", _YELLOW, beyond=2),
    _shape("yellow", "2017-01", _YELLOW, blank=True),
    _shape("yellow", "2019-01", f"{_YELLOW} congestion_surcharge"),
    _shape("yellow", "2020-11", f"{_YELLOW} congestion_surcharge", words=_NULLS),
)
