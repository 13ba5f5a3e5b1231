/* The messages between carreld and carrel-init, the agent inside every carrel (docs/exec-protocol.md). Both programs
 * contain this code, which uses only the C library. Pure: it uses no socket.
 *
 * One message is one packet of a SOCK_SEQPACKET socket: a header and a payload, at most AGENT_MESSAGE_MAX bytes,
 * integers little-endian. The receiver calls agent_wire_check before anything else, on both sides. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
        AGENT_VERSION = 3, /* the latest; both sides also speak all earlier versions from AGENT_VERSION_MIN on */
        AGENT_VERSION_MIN = 1,
        AGENT_VERSION_KEEP = 2,   /* the first with KEEP */
        AGENT_VERSION_USAGE = 3,  /* the first with usage in EXITED */
        AGENT_MAGIC = 0x4c525243, /* "CRRL" */
        AGENT_HEADER_BYTES = 12,
        AGENT_MESSAGE_MAX = 65536,
        AGENT_PAYLOAD_MAX = AGENT_MESSAGE_MAX - AGENT_HEADER_BYTES,
        AGENT_FDS_MAX = 4,
        AGENT_SPEC_MAX = 0x110000, /* of one exec: arguments, environment and working directory */
        AGENT_TEXTS_MAX = 8192,    /* arguments and variables of one exec, together */
        AGENT_WINDOW_BYTES =
                262144, /* framed mode: bytes of one stream that may be sent before a CREDIT confirms them */
        AGENT_TOKEN_BYTES = 16
};

/* The sender of a message. */
enum agent_side { AGENT_FROM_DAEMON, AGENT_FROM_INSIDE };

enum agent_kind {
        AGENT_HELLO = 1,
        AGENT_WELCOME = 2,
        AGENT_SPEC = 16,
        AGENT_START = 17,
        AGENT_STARTED = 18,
        AGENT_FAILED = 19,
        AGENT_EXITED = 20,
        AGENT_SIGNAL = 21,
        AGENT_RESIZE = 22,
        AGENT_GONE = 23,
        AGENT_KEEP = 24,
        AGENT_DATA = 32,
        AGENT_END = 33,
        AGENT_CREDIT = 34
};
/* "hello", "start", ...; "unknown" for another number. */
const char *agent_kind_name(unsigned kind);

struct agent_header {
        uint16_t kind;
        uint16_t n_fds;  /* how many descriptors the sender says it passes */
        uint32_t number; /* of the exec, chosen by carreld, never reused on a connection; 0: no exec */
        uint32_t length; /* of the payload */
};

/* Checks a packet of `length` bytes that came with n_fds descriptors. The header must match the packet, and this side
 * must be allowed to send the kind, with so many bytes and descriptors, and with a number if the kind needs one.
 * is_cut: the kernel cut bytes or descriptors off (MSG_TRUNC, MSG_CTRUNC). 0 and *ret_header, or -EBADMSG. */
int agent_wire_check(enum agent_side side, const void *packet, size_t length, size_t n_fds, bool is_cut,
                     struct agent_header *ret_header);

/* ---- payloads ---- */

struct agent_hello {
        uint32_t magic;
        uint16_t version_min, version_max;
        uint8_t token[AGENT_TOKEN_BYTES]; /* of the last WELCOME; zeros before the first */
};

struct agent_welcome {
        uint16_t version; /* within the agent's bounds */
        uint16_t flags;   /* AGENT_WELCOME_* */
        uint8_t token[AGENT_TOKEN_BYTES];
};
enum { AGENT_WELCOME_FRAMED = 1 };

/* The head of START; the rest of its payload is the end of the spec. */
struct agent_start {
        uint32_t flags;       /* AGENT_START_* */
        uint16_t rows, cols;  /* with TTY */
        uint32_t spec_length; /* of the whole spec: the pieces from SPEC messages, and the rest here */
};
enum { AGENT_START_HEAD_BYTES = 12 };
enum {
        AGENT_START_JOIN = 1,  /* the first descriptor is the cgroup's join file; the child writes "0" into it */
        AGENT_START_INPUT = 2, /* stdin is a stream, else /dev/null */
        AGENT_START_TTY = 4    /* a terminal: one output stream */
};
/* How many descriptors a START with these flags has: the join file, stdin, stdout and stderr, in this order. */
unsigned agent_start_fds(uint32_t flags, bool is_framed);

enum agent_stage {
        AGENT_STAGE_SPEC,
        AGENT_STAGE_FORK,
        AGENT_STAGE_JOIN,
        AGENT_STAGE_TTY,
        AGENT_STAGE_CWD,
        AGENT_STAGE_EXEC,
        AGENT_STAGES
};

struct agent_failed {
        uint32_t stage; /* enum agent_stage */
        uint32_t error; /* errno */
};

/* The answer of wait4(2) for the exec's first process and of the descendants that it waited for. */
struct agent_usage {
        uint64_t user_us, system_us; /* CPU time */
        uint64_t peak_bytes;         /* the largest resident set that one of these processes had */
};
static const uint64_t AGENT_USAGE_MOST = (uint64_t)1 << 52; /* of each number */

struct agent_exited {
        uint32_t is_signal; /* 0 or 1 */
        uint32_t value;     /* exit code 0 to 255, or signal 1 to 64 */
        bool has_usage;     /* from AGENT_VERSION_USAGE on, if a program ran */
        struct agent_usage usage;
};

struct agent_resize {
        uint16_t rows, cols;
};

/* Streams of DATA, END and CREDIT. */
enum { AGENT_STREAM_IN, AGENT_STREAM_OUT, AGENT_STREAM_ERR, AGENT_STREAMS };

/* ---- writing: each builds a whole packet in `packet` and returns its length. ---- */

struct agent_packet {
        size_t length;
        uint8_t bytes[AGENT_MESSAGE_MAX];
};

void agent_write_hello(struct agent_packet *packet, const struct agent_hello *hello);
void agent_write_welcome(struct agent_packet *packet, const struct agent_welcome *welcome);
/* chunk_length is at most AGENT_PAYLOAD_MAX (SPEC) or AGENT_PAYLOAD_MAX - AGENT_START_HEAD_BYTES (START). */
void agent_write_spec(struct agent_packet *packet, uint32_t number, const void *chunk, size_t chunk_length);
void agent_write_start(struct agent_packet *packet, uint32_t number, const struct agent_start *start, unsigned n_fds,
                       const void *chunk, size_t chunk_length);
void agent_write_started(struct agent_packet *packet, uint32_t number);
void agent_write_failed(struct agent_packet *packet, uint32_t number, const struct agent_failed *failed);
void agent_write_exited(struct agent_packet *packet, uint32_t number, const struct agent_exited *exited);
void agent_write_gone(struct agent_packet *packet, uint32_t number);
void agent_write_keep(struct agent_packet *packet, uint32_t number, unsigned n_fds);
void agent_write_signal(struct agent_packet *packet, uint32_t number, uint32_t signal);
void agent_write_resize(struct agent_packet *packet, uint32_t number, const struct agent_resize *resize);
/* length is at most AGENT_PAYLOAD_MAX - 1. */
void agent_write_data(struct agent_packet *packet, uint32_t number, unsigned stream, const void *bytes, size_t length);
void agent_write_end(struct agent_packet *packet, uint32_t number, unsigned stream);
void agent_write_credit(struct agent_packet *packet, uint32_t number, unsigned stream, uint32_t bytes);

/* ---- reading: the payload of a packet that agent_wire_check has passed. 0 or -EBADMSG (a value out of range). ---- */

int agent_read_hello(const void *packet, struct agent_hello *ret_hello);
int agent_read_welcome(const void *packet, struct agent_welcome *ret_welcome);
/* *ret_chunk points into the packet. */
int agent_read_start(const void *packet, struct agent_start *ret_start, const void **ret_chunk, size_t *ret_length);
int agent_read_failed(const void *packet, struct agent_failed *ret_failed);
int agent_read_exited(const void *packet, struct agent_exited *ret_exited);
int agent_read_signal(const void *packet, uint32_t *ret_signal);
int agent_read_resize(const void *packet, struct agent_resize *ret_resize);
int agent_read_data(const void *packet, unsigned *ret_stream, const void **ret_bytes, size_t *ret_length);
int agent_read_end(const void *packet, unsigned *ret_stream);
int agent_read_credit(const void *packet, unsigned *ret_stream, uint32_t *ret_bytes);

/* ---- the spec of an exec: u32 arguments, u32 variables, then texts: working directory, arguments, variables.
 * A text is its u32 length, its bytes and a NUL, so that it can be used in place. ---- */

/* The size of the spec; 0: over a limit (AGENT_SPEC_MAX, AGENT_TEXTS_MAX). environment may be NULL. */
size_t agent_spec_size(const char *working_dir, const char *const *argv, const char *const *environment);
/* Writes agent_spec_size bytes. */
void agent_spec_write(void *target, const char *working_dir, const char *const *argv, const char *const *environment);

struct agent_spec {
        const char *working_dir;
        size_t n_argv, n_environment;
        /* The arguments, NULL, the variables, NULL. AGENT_TEXTS_MAX + 2 pointers are enough for any spec. */
        char **argv, **environment;
};
/* texts has room for n_texts pointers, which will point into bytes. 0, -EBADMSG (not a spec: no argument, an empty
 * program, a NUL inside, a variable without "=", over a limit, or bytes left over), or -E2BIG (n_texts is too small).
 */
int agent_spec_read(void *bytes, size_t length, char **texts, size_t n_texts, struct agent_spec *ret_spec);
