"""Every bound, with its unit and its reason."""

from typing import Final

FILE_BYTES_MAX: Final = 8 << 30
"""One input file. A table is read into memory; for a larger one 24 GiB of memory would not be enough."""

COLUMNS_MAX: Final = 10_000
"""More columns than this is a matrix in the wrong shape."""

BODY_BYTES_MAX: Final = 16 << 20
"""One request. Larger work belongs in a file."""

BODY_ROWS_MAX: Final = 10_000
"""At 20 µs a row this is 0.2 s of one core; more would make neighbours wait."""

BODY_VALUES_MAX: Final = 16 << 20
"""Rows times fields of one request, given or not, of 8 bytes each at least. Who gives each has fewer within 16 MiB; of
10,000 empty rows, 30 kB, a model of 10,000 fields would make 1.6 GB."""

ANSWER_BYTES_MAX: Final = 64 << 20
"""Of the answers to one request as JSON, in whatever form they are sent: four times a body, and a quarter of what all
callers may leave unread. Of 10,000 empty rows, 30 kB, a model of 1,000 classes would make 220 MB, and a GB on the
way."""

EMBEDDED_TEXTS_MAX: Final = 2_048
"""Texts in one request for vectors, as with OpenAI; a small encoder takes about ten seconds of one core for them."""

EMBEDDED_TOKENS_MAX: Final = 300_000
"""Token ids in one request for vectors, as with OpenAI."""

HEADER_SECONDS_MAX: Final = 10.0
"""From the first byte of a request to the end of its headers."""

BODY_IDLE_SECONDS_MAX: Final = 30.0
"""Between two pieces of a body; also how long a half-open connection is kept."""

BODY_SECONDS_MAX: Final = 120.0
"""For a whole body, however steadily it trickles."""

KEEP_ALIVE_SECONDS: Final = 75.0
"""How long a connection may be idle between two requests."""

GIVE_WAY_SECONDS: Final = 1.0
"""With all connections in use, one that has been idle this long is closed for a newcomer; shorter pauses are normal."""

CONNECTIONS_MAX: Final = 2_048
"""Open connections; each costs about 50 kB."""

DRAIN_SECONDS_MAX: Final = 30.0
"""How long a server that was told to stop waits for the requests it has begun."""

TRACES_SECONDS_MAX: Final = 2.0
"""How long a process that ends waits for the collector to take its last spans; then they are lost."""

CATEGORIES_MAX: Final = 10_000
"""Known values of one category; the rarest beyond it share one code."""

TEXT_CHARS_MAX: Final = 1_000_000
"""One text field; a megabyte of text takes 0.3 s to split."""

VOCABULARY_MAX: Final = 200_000
"""Terms of one text field, most frequent first; 1.6 MB a class at most."""

VOCABULARY_BYTES_MAX: Final = 32 << 20
"""Compressed terms, once decompressed; 200,000 of 160 bytes each."""

ARTIFACT_FILES_MAX: Final = COLUMNS_MAX + 100
"""An encoder's table for each column, and the files that every artifact has."""

MANIFEST_BYTES_MAX: Final = 64 << 20
"""Enough for 10,000 columns with 1,000 known categories each."""

DATABASE_WAIT_SECONDS_MAX: Final = 10.0
"""How long to wait for another process's write; ours take milliseconds, so a longer wait means that something hangs."""

UNPACKED_BYTES_MAX: Final = 4 << 30
"""A gzip, zip or tar file once unpacked, in memory."""

UNPACK_RATIO_MAX: Final = 250
"""Real tables compress 3 to 50 times, a zip bomb 1,000 times. Counted beyond the first 64 MiB."""

ARCHIVE_FILES_MAX: Final = 200_000
"""Files in one archive or folder of documents; listing them takes a second."""

CLASSES_MAX: Final = 1_000
"""Labels of one task; each costs a column of scores."""

HEADER_BYTES_MAX: Final = 32 << 10
"""All headers of one request with its target; browsers and proxies stay below 16 KiB."""

BODIES_BYTES_MAX: Final = 256 << 20
"""All bodies being read or answered at one time; decoded they take more."""

PAYER_SHARE: Final = 0.75
"""The most that one key or tenant, or without a key one address, may have of the room for bodies, of the connections
whose bodies are to come, of gRPC's calls, and of the messages that it reads (open streams included); once others want
some, of all connections too. Whatever it does with its share, others find some."""

UNREAD_BYTES_MAX: Final = 256 << 20
"""All answers that callers do not read, beyond 64 KiB each; above it, those who have not read for longest are cut."""

UNREAD_SECONDS_MAX: Final = 60.0
"""How long a caller may read nothing of an answer that waits for it before it is cut; one that reads slowly is not."""

BUSY_POLL_SECONDS: Final = 100e-6
"""After an answer given at once the event loop looks for the next request for so long before it sleeps; a caller on the
same machine takes some 50 µs."""

INLINE_SECONDS_MAX: Final = 0.005
"""What a request may take on the event loop; every other connection waits for it."""

INLINE_ROW_SECONDS_MAX: Final = 0.001
"""A model that takes longer per row always runs in a thread; beside that the hop of some 20 µs does not matter."""

WAITING_REQUESTS_MAX: Final = 1_024
"""Requests of one key or tenant that may wait for their turn (its share, if others wait too); more are refused."""

OBJECTIVE_SECONDS: Final = 1.0
"""What a run, and the wait for it, should take at most; people do not wait longer, so a longer queue serves nobody. Who
would wait for more than four fifths of it is refused."""

ANSWER_SECONDS_MAX: Final = 300.0
"""From the last byte of a request to its answer; proxies and clients have given up by then."""

LOOP_SECONDS_MAX: Final = 10.0
"""A run on the event loop takes milliseconds; one that takes this long is ended with its worker, as all others wait.
So is one in a thread that takes as long, and a hundred times as long as its like."""

FIRST_LOADS_SECONDS_MAX: Final = 15.0
"""What a server waits for the models that it loads before anybody asks, if nobody else answers meanwhile: one of them
may never be there, and who asks it waits for it all the same."""

LOADING_SECONDS_MAX: Final = 240.0
"""For loading and trying out one version, not counting time without a processor: the largest take a few seconds. A load
that never ends keeps a processor and the place of others. Two such ends quarantine a version."""

BATCH_ROWS_MAX: Final = 1_024
"""Rows in one run, from one or several callers; bounds the memory of its tensors."""

HOP_SECONDS: Final = 0.0001
"""What a thread costs a request; a model for which batching saves less stays on the event loop."""

LIGHT_BODY_BYTES: Final = 4 << 10
"""Bodies up to this size are decoded on the event loop even if the model runs in a thread: at most a millisecond."""

LARGE_BODY_BYTES: Final = 64 << 10
"""Larger bodies are decoded by threads of their own: thousands of texts take seconds, in which others would wait."""

GRPC_CALLS_MAX: Final = 256
"""gRPC calls at one time; each may bring a body, and streams stay open."""

GRPC_CONNECTIONS_MAX: Final = 1_024
"""gRPC connections at one time, of which most are idle: every client holds one. Each takes some 20 kB."""

GRPC_IDLE_SECONDS_MAX: Final = 20.0
"""Between calls, before a gRPC connection is closed to make room: its client opens another for the next call."""

GRPC_WATCHERS_MAX: Final = 16
"""gRPC callers that watch the health at one time, which needs no key and keeps a call open; and messages without a key
that are being read, each of which may take as much memory as a body."""

LIGHT_SECONDS: Final = 0.001
"""Larger bodies too, if decoding is measured to take less: threads would not read more at a time, and each switch
between them waits for the interpreter lock."""

CACHE_BYTES_MAX: Final = 64 << 20
"""Answers cached for repeated requests, of all workers together; the least recently used go first."""

CACHE_BODY_BYTES_MAX: Final = 256 << 10
"""Body of a request whose answer is cached; looking up a larger one would hold up the loop for 0.3 ms."""

CACHE_RUNS_MIN: Final = 50.0
"""How many look-ups a run must take for its answer to be cached: a request not sent before loses a fiftieth at most."""

LINGER_SECONDS_MAX: Final = 2.0
"""How long a refused client may send nothing more before its connection is closed, so that it can read the refusal; one
that goes on sending has `BODY_IDLE_SECONDS_MAX`. Also how long, when the server stops, a client that was answered may
ask once more."""

LOADS_MAX: Final = 2
"""Models that are loaded at one time, so that a slow load does not hold up the others; each takes a core, and memory
that is counted only once it is taken."""

MEMORY_SHARE: Final = 0.5
"""Share of the machine's or container's memory for the models of `aias serve`; the rest is for requests and others."""

FOREIGN_BYTES_MAX: Final = 4 << 30
"""Memory for what imported graphs compute, all of a process together. They were tried with as much; a graph that was
written to do harm can ask for more at some numbers of rows, since sizes may be computed from that number."""
