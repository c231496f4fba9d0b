"""The tutorial's client: record by record, in batches of 1,000. batches_of_1000.py URL EMULATOR KEY_FILE DATASET."""

import sys
from itertools import batched
from pathlib import Path
from urllib.request import urlopen

import ijson
from google.cloud import bigquery
from google.oauth2.credentials import Credentials

BATCH = 1000
NUMBERS = {"id", "time", "duration", "protocol", "packet_count", "byte_count"}
TEXTS = {"src_comp", "src_port", "dst_comp", "dst_port"}
url, emulator, key_file, dataset = sys.argv[1:]
key = Credentials(Path(key_file).read_text())
client = bigquery.Client(project="local", credentials=key, client_options={"api_endpoint": emulator})
client.create_dataset(dataset, exists_ok=True)
config = bigquery.LoadJobConfig(
    schema=[bigquery.SchemaField(name, "INT64" if name in NUMBERS else "STRING") for name in sorted(NUMBERS | TEXTS)],
    write_disposition=bigquery.WriteDisposition.WRITE_APPEND,
)
with urlopen(url) as answer:
    for records in batched(ijson.items(answer, "records.item"), BATCH, strict=False):
        client.load_table_from_json(records, f"local.{dataset}.flows", job_config=config).result()
