"""The same job in an analytic engine: `engines.py ENGINE JOB INPUT WINDOWS [OUT]`.

JOB is `windows` (count, p50 and p99 by second and service of the lines with a status of 500 and more) or
`whole` (these, and the lines themselves to OUT). Two threads, as the program has two workers.
"""

import json
import os
import sys

THREADS = 2


def duckdb(source, windows, out):
    import duckdb

    base = duckdb.connect()
    base.sql(f"set threads = {THREADS}")
    if out:
        base.sql(
            f"""create temp table matching as
            select json, (json->>'ts')::timestamp as ts, json->>'service' as service,
                (json->>'latency_ms')::double as latency_ms
            from read_ndjson_objects('{source}') where (json->>'status')::int >= 500"""
        )
        base.sql(
            f"copy (select json from matching) to '{out}' "
            "(format csv, header false, quote '', escape '', delimiter e'\\x01')"
        )
        table = "matching"
    else:
        columns = "{ts: 'timestamp', service: 'varchar', status: 'int', latency_ms: 'double'}"
        table = f"read_json('{source}', format = 'newline_delimited', columns = {columns}) where status >= 500"
    return base.sql(
        f"""select date_trunc('second', ts) as w, service, count(*),
            quantile_disc(latency_ms, 0.5), quantile_disc(latency_ms, 0.99)
        from {table} group by all"""
    ).fetchall()


def chdb(source, windows, out):
    import chdb

    structure = "ts String, service String, status UInt16, latency_ms Float64"
    # The nearest rank, as the others: of a rank that is whole, `quantileExact` takes the next one.
    rows = chdb.query(
        f"""select toStartOfSecond(parseDateTime64BestEffort(ts, 3, 'UTC')) as w, service, count(),
            quantileExact(0.499999999)(latency_ms), quantileExact(0.989999999)(latency_ms)
        from file('{source}', JSONEachRow, '{structure}') where status >= 500 group by w, service
        settings max_threads = {THREADS}, input_format_skip_unknown_fields = 1""",
        "JSONCompactEachRow",
    )
    return [json.loads(row) for row in str(rows).splitlines()]


def polars(source, windows, out):
    os.environ["POLARS_MAX_THREADS"] = str(THREADS)
    import polars

    schema = {
        "ts": polars.String,
        "service": polars.String,
        "status": polars.Int32,
        "latency_ms": polars.Float64,
    }
    latency = polars.col("latency_ms")
    return (
        polars.scan_ndjson(source, schema=schema)
        .filter(polars.col("status") >= 500)
        .group_by(polars.col("ts").str.head(19).alias("w"), "service")
        .agg(
            polars.len(),
            latency.quantile(0.5, "equiprobable").alias("p50"),
            latency.quantile(0.99, "equiprobable").alias("p99"),
        )
        .collect(engine="streaming")
        .rows()
    )


def main():
    engine, job, source, windows, *out = sys.argv[1:]
    rows = globals()[engine](source, windows, out[0] if job == "whole" else None)
    with open(windows, "w") as file:
        for start, key, count, p50, p99 in rows:
            start = str(start)[:19].replace(" ", "T") + "Z"
            window = {"window_start": start, "key": key, "count": int(count)}
            file.write(json.dumps({**window, "p50": p50, "p99": p99}) + "\n")


main()
