"""Figures measured on LANL's `flows.txt`: its times, computers, protocols and ports. `profile_volumes` has the volumes.

[F] was measured over the whole file of 129,977,412 rows, [S] over its first million rows among the busiest computers;
[A] is an assumption, since nothing is known. LANL cyber1 is CC0: A. D. Kent, 2015, doi:10.17021/1179829.
"""

# Tables of numbers, many to a line.
# fmt: off

LAST_SECOND = 3_126_928  # [F]; the first is 1
SET_DAYS = 58  # the whole data set's; the flows end on day 36
ABSENT_DAYS = frozenset({24, 25, *range(30, 36)})  # [F], counted from 0
WEEKEND_DAYS = frozenset({3, 4, 10, 11, 17, 18, 24, 25, 31, 32})  # [A]: day 0 is a Wednesday

# Rows a second by hour of a working day, in thousandths of 101. Hours 0-6 and 21 [S], the others [A] so that row
# 77,749,687 falls on second 766,801 [F].
HOURLY = (
    285, 285, 285, 285, 285, 330, 750, 1400, 2000, 2000, 2000, 2000, 1800, 2100, 2100, 2100, 1700, 1200, 900, 800,
    700, 670, 500, 350,
)
WEEKEND_PERCENT = 54  # [A]
QUIET_FROM_DAY, QUIET_PERCENT = 9, 45  # [A]: after that anchor the rest of the rows fills the other days
# [A]: 2,045,000 of the 2,435,728 seconds of the present days have a row [F]; the holes are put in the quiet days.
SILENT_PERCENT = 24

# [S] rows a second by minute of the hour, in tenths.
MINUTES = (
    332, 338, 303, 358, 409, 464, 488, 649, 470, 375, 358, 421, 343, 343, 340, 347, 373, 369, 394, 433, 343, 341,
    334, 330, 343, 412, 337, 505, 721, 635, 383, 306, 291, 310, 318, 306, 344, 381, 339, 308, 307, 344, 375, 347,
    329, 326, 691, 711, 628, 278, 305, 274, 299, 324, 311, 336, 317, 342, 318, 456,
)
# [S] a third of the variance of ln(rows a second); two such factors a second and one for 16 seconds give its
# autocorrelation of .39 at 1 s and .2 at 10 s. Quantiles of a log-normal with sigma .41, in per cent.
NOISE = (
    37, 44, 49, 52, 55, 57, 59, 61, 63, 65, 67, 69, 70, 72, 74, 75, 77, 78, 80, 81, 83, 84, 86, 87, 88, 90, 91, 93,
    95, 96, 98, 99, 101, 102, 104, 106, 108, 109, 111, 113, 115, 117, 119, 121, 123, 126, 128, 131, 133, 136, 139,
    142, 146, 149, 153, 158, 163, 169, 175, 183, 193, 206, 226, 269,
)

COMPUTERS = 12_027  # [F]
HIGHEST_COMPUTER = 22_000  # [A]: names are C<number>, the highest one seen is C19924
# [S] rows in thousands with the computer as source or destination.
SERVERS = {
    "C1685": 81, "C5721": 69, "C586": 66, "C1707": 61, "C16712": 60, "C467": 58, "C5720": 52, "C706": 38,
    "C529": 36, "C612": 35, "C1065": 33, "C5802": 33, "C457": 31, "C528": 27, "C2109": 25, "C6200": 24, "C625": 22,
    "C5787": 20, "C5808": 20, "C3173": 20, "C2588": 17, "C5736": 17, "C4174": 14, "C1973": 13, "C585": 10,
    "C5959": 8, "C6173": 8, "C7632": 7, "C5030": 7,
}
SERVER_SHARE = 60  # per cent of the other pairs that have one of these as server; gives their share of rows
# [S] the busiest pairs, client and server, rows in tens of both directions.
PAIRS = (
    ("C5802", "C6200", 2430), ("C5808", "C6173", 1169), ("C5787", "C5959", 1168), ("C467", "C2320", 1045),
    ("C11573", "C5736", 624), ("C247", "C467", 422), ("C5788", "C3083", 396), ("C3173", "C1554", 370),
    ("C5721", "C2270", 356), ("C5720", "C2270", 317), ("C3173", "C1538", 172), ("C3173", "C1332", 171),
    ("C3173", "C2758", 171), ("C3173", "C1185", 168), ("C1340", "C787", 162), ("C16054", "C19924", 158),
)
PAIR_COUNT = 78_884  # [F] 157,768 directed edges
PAIRS_SHARE = 10  # per cent of the rows that the pairs above take

MIRRORED_PERMILLE = 763  # [S] rows with one in the opposite direction in the same second
FORWARD_PERCENT = 78  # of the others that go to a server's port; [S] 34.3 % of TCP goes to one, 26.3 % comes from one
REPEATED_PERMILLE = 190  # [S] rows equal to an earlier one but for anonymised ports
BURST_PERMILLE, BURST_FACTOR = 1, 24  # [S] the 99.9th percentile of rows a second is 33 times the median

# [F] protocol and server port with rows in thousands, over both directions. 0 is an anonymised port on both ends, a
# negative one is that port on both ends. UDP by its shares in the first million rows [S].
SERVICES = {
    6: {
        0: 45_897, 445: 41_292, 80: 8_705, 389: 4_826, 139: 3_912, 88: 3_459, 135: 2_439, 443: 1_854, 22: 914,
        1433: 855, 2049: 696, 111: 268, 1241: 92, 3306: 86, 8080: 32, 7002: 32, 6002: 32,
        -445: 300, -80: 60, -139: 60, -389: 40,
    },
    17: {0: 354, 389: 5_240, -137: 2_130, 88: 1_830, 111: 540, 161: 210, -123: 330, -138: 330, 53: 30, 427: 60},
    1: {0: 3_322},
    41: {-1: 1},
}
# [F] anonymised ports that are services, in thousands of rows per side; the others are ephemeral, some 21,000.
NAMED_SERVICES = {"N2": 1_310, "N1": 1_155, "N10": 696, "N3": 667, "N5": 600, "N4": 539, "N7": 445}
SERVICE_PORT_PERCENT = 22  # of the flows between anonymised ports that go to one of these
EPHEMERAL_PORTS = 21_000
HIGHEST_EPHEMERAL = 42_011
