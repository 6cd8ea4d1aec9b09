"""Every bound, with its unit and its reason."""

from typing import Final

FILE_BYTES_MAX: Final = 8 << 30
"""A table is read into memory; beyond this 24 GiB of it would not do."""

COLUMNS_MAX: Final = 10_000
"""More columns than this is a matrix in the wrong shape."""

BODY_BYTES_MAX: Final = 16 << 20
"""One request. Larger work belongs in a file."""

BODY_ROWS_MAX: Final = 10_000
"""At 20 µs a row this is 0.2 s of one core; more would make neighbours wait."""

EMBEDDED_TEXTS_MAX: Final = 2_048
"""Of one request for vectors, as with OpenAI; a small encoder takes some ten seconds of one core for them."""

EMBEDDED_TOKENS_MAX: Final = 300_000
"""Token ids of one request for vectors, as with OpenAI."""

HEADER_SECONDS_MAX: Final = 10.0
"""From the first byte of a request to the end of its headers."""

BODY_IDLE_SECONDS_MAX: Final = 30.0
"""Between two pieces of a body; also how long a half-open connection lives."""

BODY_SECONDS_MAX: Final = 120.0
"""For a whole body, however steadily it trickles."""

KEEP_ALIVE_SECONDS: Final = 75.0
"""An idle connection between two requests."""

GIVE_WAY_SECONDS: Final = 1.0
"""Who has had nothing to say for so long gives way where there is no room; for less, callers think."""

CONNECTIONS_MAX: Final = 2_048
"""Open sockets; each costs some 50 kB."""

DRAIN_SECONDS_MAX: Final = 30.0
"""What a server that was told to stop gives to the requests it has begun."""

CATEGORIES_MAX: Final = 1_000
"""Known values of one category; the rarest beyond it share one code."""

TEXT_CHARS_MAX: Final = 1_000_000
"""One text field; a megabyte of text takes 0.3 s to split."""

VOCABULARY_MAX: Final = 200_000
"""Terms of one text field, most frequent first; 1.6 MB a class at most."""

VOCABULARY_BYTES_MAX: Final = 32 << 20
"""Packed terms, unpacked; 200,000 of 160 bytes each."""

ARTIFACT_FILES_MAX: Final = COLUMNS_MAX + 100
"""An encoder's table for each column, and what every artifact has."""

MANIFEST_BYTES_MAX: Final = 64 << 20
"""10,000 columns with 1,000 known categories each stay below it."""

DATABASE_WAIT_SECONDS_MAX: Final = 10.0
"""For another process's write; ours take milliseconds, so whoever waits longer waits for something stuck."""

UNPACKED_BYTES_MAX: Final = 4 << 30
"""What a gzip, zip or tar file may become in memory."""

UNPACK_RATIO_MAX: Final = 250
"""Real tables shrink 3 to 50 times; a bomb 1,000 times. Counted beyond the first 64 MiB."""

ARCHIVE_FILES_MAX: Final = 200_000
"""Files in one archive or folder of documents; listing them takes a second."""

CLASSES_MAX: Final = 1_000
"""Labels of one task; each costs a column of scores."""

HEADER_BYTES_MAX: Final = 32 << 10
"""All headers of one request with its target; browsers and proxies stay below 16 KiB."""

BODIES_BYTES_MAX: Final = 256 << 20
"""Bodies being read or answered at one time, of all connections together; decoded they take several times as much."""

INLINE_SECONDS_MAX: Final = 0.005
"""What a request may take on the event loop; every other connection waits for it."""

INLINE_ROW_SECONDS_MAX: Final = 0.001
"""A model that is slower by the row always gets a thread; the hop of some 20 µs is nothing beside it."""

WAITING_REQUESTS_MAX: Final = 1_024
"""Requests waiting for their turn, each with its body in memory; who would come after them is told to come again."""

OBJECTIVE_SECONDS: Final = 1.0
"""What a run should take at most, and the wait for it; people wait no longer, and a queue beyond it serves nobody."""

ANSWER_SECONDS_MAX: Final = 300.0
"""From a request's last byte to its answer; proxies and clients have given up by then."""

LOOP_SECONDS_MAX: Final = 10.0
"""One run on the event loop, measured to take milliseconds, before its worker is ended with it: all others wait."""

BATCH_DELAY_SECONDS: Final = 0.0
"""What a request waits for company while a place is free: nothing, as on a processor a larger run gains too little."""

BATCH_ROWS_MAX: Final = 1_024
"""Rows of one run, of one or several callers; bounds the memory of its tensors."""

HOP_SECONDS: Final = 0.0001
"""What a thread costs a request; a model for which running rows together saves less stays on the event loop."""

LIGHT_BODY_BYTES: Final = 4 << 10
"""What is decoded and encoded on the event loop though its model runs in a thread: at most a millisecond of texts."""

LARGE_BODY_BYTES: Final = 64 << 10
"""What is read and written by threads of its own: thousands of texts take seconds, in which others would wait."""

GRPC_CALLS_MAX: Final = 256
"""Calls of gRPC at one time; each may bring a body, and streams stay."""

GRPC_WATCHERS_MAX: Final = 16
"""Who may watch the health over gRPC, which needs no key and keeps a call open."""

LIGHT_SECONDS: Final = 0.001
"""The same of a larger body, as measured for its model: threads would read no more at a time, and each change of them
waits for the interpreter."""

CACHE_BYTES_MAX: Final = 64 << 20
"""Answers that are kept for requests that repeat, of all workers together; the longest unused goes first."""

CACHE_BODY_BYTES_MAX: Final = 256 << 10
"""Of a request whose answer is kept; looking up a larger one would hold up the loop for a third of a millisecond."""

CACHE_RUNS_MIN: Final = 50.0
"""What a run must take, in look-ups of its answer: who asks what nobody has asked before loses a fiftieth at most."""

LINGER_SECONDS_MAX: Final = 2.0
"""How long a refused client may go on sending before its connection is cut; it needs that long to read the refusal."""

MEMORY_SHARE: Final = 0.5
"""Of the machine's or the container's memory, for the models of `aias serve`; the rest is for requests and others."""
