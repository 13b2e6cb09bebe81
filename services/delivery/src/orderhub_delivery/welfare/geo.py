"""How far apart two places are."""

from math import asin, cos, radians, sin, sqrt

from orderhub_delivery.welfare.model import Place

EARTH_RADIUS_KM = 6371.0088


def distance_km(origin: Place, destination: Place) -> float | None:
    """The great circle (haversine) to the metre; None unless both positions are known and possible."""
    if origin.lat is None or origin.lon is None or destination.lat is None or destination.lon is None:
        return None
    if not (_possible(origin.lat, origin.lon) and _possible(destination.lat, destination.lon)):
        return None
    lat_1, lat_2 = radians(origin.lat), radians(destination.lat)
    half_lat, half_lon = (lat_2 - lat_1) / 2, radians(destination.lon - origin.lon) / 2
    chord = sin(half_lat) ** 2 + cos(lat_1) * cos(lat_2) * sin(half_lon) ** 2
    # Rounded once, here: what is compared is what the decision row shows, on every machine.
    return round(2 * EARTH_RADIUS_KM * asin(sqrt(min(1.0, chord))), 3)


def _possible(lat: float, lon: float) -> bool:
    return -90 <= lat <= 90 and -180 <= lon <= 180
