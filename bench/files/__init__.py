"""What uploads and downloads cost: `python -m bench.files [--only PART] [--bytes 1000000000] [--rounds 3]`.

`upload`: one file by tus, cut at ten places over two gateways on one PostgreSQL, beside a bare ASGI function that
hashes and writes the same bytes. `many`: a thousand uploads of 1 MB at once, and what other queries keep of their rate.
`download`: one file in 16 ranges, beside nginx's `sendfile` on the same file.
"""
