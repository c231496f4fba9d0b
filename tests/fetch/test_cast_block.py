"""A block read at once gives what its records give one by one, or nothing: then they are read so."""

from hypothesis import example, given
from hypothesis import strategies as st

from flows_platform.domain.schema import Column, ColumnType, TableSchema
from flows_platform.fetch.decoders import cast_block, cast_slices
from flows_platform.wire.decode.json_blocks import JsonBlock

PLAIN = {
    ColumnType.INT64: ["0", "-1", "9007199254740993", "9223372036854775807", '"12"'],
    ColumnType.STRING: ['"x"', '"5.0"', '""', "7"],
    ColumnType.FLOAT64: ["1.5", "0.1", "-0.0", "3"],
    ColumnType.BOOL: ["true", "false", "1"],
    ColumnType.JSON: ["1.50", '"x"', "true"],
}
ODD = ["5.0", "1e3", "1E400", "9007199254740993.0", "0.1234567890123456789", "9223372036854775808", "-0", "null", '"x"']


@st.composite
def tables(draw: st.DrawFn) -> tuple[TableSchema, list[list[str]]]:
    """A schema and records of its columns, as literals: what its types take, and rarely something else."""
    types = draw(st.lists(st.sampled_from(sorted(PLAIN)), min_size=1, max_size=4))
    columns = tuple(
        Column(f"c{place}", each, "", nullable=draw(st.booleans())) for place, each in enumerate(types, start=1)
    )
    literals = [st.sampled_from(PLAIN[each]) for each in types]
    records = draw(st.lists(st.tuples(*literals).map(list), min_size=1, max_size=6))
    if draw(st.booleans()):
        record = draw(st.sampled_from(records))
        record[draw(st.integers(0, len(record) - 1))] = draw(st.sampled_from(ODD))
    return TableSchema("t", "", columns, "c1", "c1"), records


def of(*literals: str) -> tuple[TableSchema, list[list[str]]]:
    columns = (Column("c1", ColumnType.INT64, ""), Column("c2", ColumnType.INT64, "", nullable=True))
    return TableSchema("t", "", columns, "c1", "c1"), [["1", each] for each in literals]


@given(tables())
@example(of("2", "9007199254740993.0"))  # as a float it would be another number
@example(of("5.0", "5.0"))
@example(of("null", "9223372036854775808"))
def test_a_block_at_once_is_its_records_one_by_one(table: tuple[TableSchema, list[list[str]]]) -> None:
    schema, records = table
    members = [
        ",".join(f'"{name}": {literal}' for name, literal in zip(schema.names, record, strict=True))
        for record in records
    ]
    content = ",".join(f"{{{each}}}" for each in members).encode()
    block = JsonBlock(content, len(records) * len(schema.columns), nested=False, surrogates=None)
    quickly, slowly = cast_block(schema, None, block), cast_slices(schema, None, block.slices()).casted
    if quickly is not None:
        assert quickly.casted.batch.equals(slowly.batch)
        assert slowly.rejects == []
        assert quickly.casted.positions == slowly.positions


def test_integers_and_texts_are_read_at_once() -> None:
    block = JsonBlock(b'{"c1": 1, "c2": 2},{"c1": 3, "c2": null}', 4, nested=False, surrogates=None)
    quickly = cast_block(of()[0], None, block)
    assert quickly
    assert quickly.casted.batch.to_pydict() == {"c1": [1, 3], "c2": [2, None]}
