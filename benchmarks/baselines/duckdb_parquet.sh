# The same stream, piped from curl to DuckDB, into Parquet: duckdb_parquet.sh PYTHON FORMAT URL OUT
curl -sSf "$3" | "$1" "$(dirname "$0")/duckdb_parquet.py" "$2" "$4"
