"""Every column type has an Arrow type, and nullability is kept."""

import pyarrow as pa
import pytest

from flows_platform.columns.batches import arrow_schema
from flows_platform.domain.schema import Column, ColumnType, TableSchema
from flows_platform.sources.lanl_flows.schema import FLOWS


@pytest.mark.parametrize("column_type", ColumnType)
@pytest.mark.parametrize("nullable", [False, True])
def test_every_column_type_is_rendered(column_type: ColumnType, *, nullable: bool) -> None:
    column = Column("c", column_type, "", nullable)
    schema = arrow_schema(TableSchema("t", "", (column,), key="c", time="c"))
    assert schema.field("c").nullable is nullable


def test_flows_are_64_bit_integers_and_text_in_the_schemas_order() -> None:
    schema = arrow_schema(FLOWS)
    assert schema.names == list(FLOWS.names)
    assert schema.field("byte_count").type == pa.int64()
    assert schema.field("src_comp").type == pa.string()
