# Tenzir reading the NDJSON stream by its own HTTP client, into Parquet: tenzir_parquet.sh TENZIR URL OUT
exec "$1" --bare-mode "from_http \"$2\" { read_ndjson }
to_file \"$3\" { write_parquet compression_type=\"zstd\" }"
