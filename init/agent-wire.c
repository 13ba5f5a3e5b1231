#include "agent-wire.h"

#include <errno.h>
#include <string.h>

enum { FROM_DAEMON = 1 << AGENT_FROM_DAEMON, FROM_INSIDE = 1 << AGENT_FROM_INSIDE, FROM_BOTH = 3 };
enum { SIGNAL_MOST = 64 };
enum { EXITED_BYTES = 8, EXITED_USAGE_BYTES = 24 };

/* Every kind of message, and its bounds. */
static const struct form {
        uint16_t kind;
        const char *name;
        uint8_t sides;
        bool has_number;
        uint32_t shortest, longest; /* payload */
        uint16_t most_fds;
} FORMS[] = {
        { AGENT_HELLO, "hello", FROM_INSIDE, false, 8 + AGENT_TOKEN_BYTES, 8 + AGENT_TOKEN_BYTES, 0 },
        { AGENT_WELCOME, "welcome", FROM_DAEMON, false, 4 + AGENT_TOKEN_BYTES, 4 + AGENT_TOKEN_BYTES, 0 },
        { AGENT_SPEC, "spec", FROM_DAEMON, true, 1, AGENT_PAYLOAD_MAX, 0 },
        { AGENT_START, "start", FROM_DAEMON, true, AGENT_START_HEAD_BYTES, AGENT_PAYLOAD_MAX, AGENT_FDS_MAX },
        { AGENT_STARTED, "started", FROM_INSIDE, true, 0, 0, 0 },
        { AGENT_FAILED, "failed", FROM_INSIDE, true, 8, 8, 0 },
        { AGENT_EXITED, "exited", FROM_INSIDE, true, EXITED_BYTES, EXITED_BYTES + EXITED_USAGE_BYTES, 0 },
        { AGENT_SIGNAL, "signal", FROM_DAEMON, true, 4, 4, 0 },
        { AGENT_RESIZE, "resize", FROM_DAEMON, true, 4, 4, 0 },
        { AGENT_GONE, "gone", FROM_INSIDE, true, 0, 0, 0 },
        { AGENT_KEEP, "keep", FROM_DAEMON, true, 0, 0, AGENT_STREAMS - 1 },
        { AGENT_DATA, "data", FROM_BOTH, true, 2, AGENT_PAYLOAD_MAX, 0 },
        { AGENT_END, "end", FROM_BOTH, true, 1, 1, 0 },
        { AGENT_CREDIT, "credit", FROM_BOTH, true, 5, 5, 0 },
};

static const struct form *find_form(unsigned kind)
{
        for (size_t i = 0; i < sizeof FORMS / sizeof FORMS[0]; i++)
                if (FORMS[i].kind == kind)
                        return &FORMS[i];
        return NULL;
}

const char *agent_kind_name(unsigned kind)
{
        const struct form *form = find_form(kind);

        return form != NULL ? form->name : "unknown";
}

/* ---- integers ---- */

static uint32_t load16(const uint8_t *at)
{
        return (uint32_t)at[0] | (uint32_t)at[1] << 8;
}

static uint32_t load32(const uint8_t *at)
{
        return load16(at) | load16(at + 2) << 16;
}

static void store16(uint8_t *at, unsigned value)
{
        at[0] = (uint8_t)value;
        at[1] = (uint8_t)(value >> 8);
}

static void store32(uint8_t *at, uint32_t value)
{
        store16(at, value & 0xffff);
        store16(at + 2, value >> 16);
}

static uint64_t load64(const uint8_t *at)
{
        return load32(at) | (uint64_t)load32(at + 4) << 32;
}

static void store64(uint8_t *at, uint64_t value)
{
        store32(at, (uint32_t)value);
        store32(at + 4, (uint32_t)(value >> 32));
}

/* ---- the header ---- */

static struct agent_header load_header(const uint8_t *packet)
{
        return (struct agent_header){
                .kind = (uint16_t)load16(packet),
                .n_fds = (uint16_t)load16(packet + 2),
                .number = load32(packet + 4),
                .length = load32(packet + 8),
        };
}

int agent_wire_check(enum agent_side side, const void *packet, size_t length, size_t n_fds, bool is_cut,
                     struct agent_header *ret_header)
{
        struct agent_header header;
        const struct form *form;

        if (is_cut || length < AGENT_HEADER_BYTES || length > AGENT_MESSAGE_MAX)
                return -EBADMSG;
        header = load_header(packet);
        form = find_form(header.kind);
        if (form == NULL || !(form->sides >> side & 1) || header.length != length - AGENT_HEADER_BYTES ||
            header.length < form->shortest || header.length > form->longest)
                return -EBADMSG;
        if (header.n_fds != n_fds || n_fds > form->most_fds || (header.number != 0) != form->has_number)
                return -EBADMSG;
        *ret_header = header;
        return 0;
}

unsigned agent_start_fds(uint32_t flags, bool is_framed)
{
        unsigned n_fds = flags & AGENT_START_JOIN ? 1 : 0;

        if (is_framed)
                return n_fds;
        if (flags & AGENT_START_INPUT)
                n_fds++;
        return n_fds + (flags & AGENT_START_TTY ? 1 : 2);
}

/* ---- writing ---- */

/* Writes the header; returns where the payload begins. */
static uint8_t *begin(struct agent_packet *packet, enum agent_kind kind, uint32_t number, unsigned n_fds, size_t length)
{
        store16(packet->bytes, (unsigned)kind);
        store16(packet->bytes + 2, n_fds);
        store32(packet->bytes + 4, number);
        store32(packet->bytes + 8, (uint32_t)length);
        packet->length = AGENT_HEADER_BYTES + length;
        return packet->bytes + AGENT_HEADER_BYTES;
}

void agent_write_hello(struct agent_packet *packet, const struct agent_hello *hello)
{
        uint8_t *payload = begin(packet, AGENT_HELLO, 0, 0, 8 + AGENT_TOKEN_BYTES);

        store32(payload, hello->magic);
        store16(payload + 4, hello->version_min);
        store16(payload + 6, hello->version_max);
        memcpy(payload + 8, hello->token, AGENT_TOKEN_BYTES);
}

void agent_write_welcome(struct agent_packet *packet, const struct agent_welcome *welcome)
{
        uint8_t *payload = begin(packet, AGENT_WELCOME, 0, 0, 4 + AGENT_TOKEN_BYTES);

        store16(payload, welcome->version);
        store16(payload + 2, welcome->flags);
        memcpy(payload + 4, welcome->token, AGENT_TOKEN_BYTES);
}

void agent_write_spec(struct agent_packet *packet, uint32_t number, const void *chunk, size_t chunk_length)
{
        memcpy(begin(packet, AGENT_SPEC, number, 0, chunk_length), chunk, chunk_length);
}

void agent_write_start(struct agent_packet *packet, uint32_t number, const struct agent_start *start, unsigned n_fds,
                       const void *chunk, size_t chunk_length)
{
        uint8_t *payload = begin(packet, AGENT_START, number, n_fds, AGENT_START_HEAD_BYTES + chunk_length);

        store32(payload, start->flags);
        store16(payload + 4, start->rows);
        store16(payload + 6, start->cols);
        store32(payload + 8, start->spec_length);
        memcpy(payload + AGENT_START_HEAD_BYTES, chunk, chunk_length);
}

void agent_write_started(struct agent_packet *packet, uint32_t number)
{
        begin(packet, AGENT_STARTED, number, 0, 0);
}

void agent_write_failed(struct agent_packet *packet, uint32_t number, const struct agent_failed *failed)
{
        uint8_t *payload = begin(packet, AGENT_FAILED, number, 0, 8);

        store32(payload, failed->stage);
        store32(payload + 4, failed->error);
}

void agent_write_exited(struct agent_packet *packet, uint32_t number, const struct agent_exited *exited)
{
        size_t length = EXITED_BYTES + (exited->has_usage ? EXITED_USAGE_BYTES : 0);
        uint8_t *payload = begin(packet, AGENT_EXITED, number, 0, length);

        store32(payload, exited->is_signal);
        store32(payload + 4, exited->value);
        if (!exited->has_usage)
                return;
        store64(payload + 8, exited->usage.user_us);
        store64(payload + 16, exited->usage.system_us);
        store64(payload + 24, exited->usage.peak_bytes);
}

void agent_write_gone(struct agent_packet *packet, uint32_t number)
{
        begin(packet, AGENT_GONE, number, 0, 0);
}

void agent_write_keep(struct agent_packet *packet, uint32_t number, unsigned n_fds)
{
        (void)begin(packet, AGENT_KEEP, number, n_fds, 0);
}

void agent_write_signal(struct agent_packet *packet, uint32_t number, uint32_t signal)
{
        store32(begin(packet, AGENT_SIGNAL, number, 0, 4), signal);
}

void agent_write_resize(struct agent_packet *packet, uint32_t number, const struct agent_resize *resize)
{
        uint8_t *payload = begin(packet, AGENT_RESIZE, number, 0, 4);

        store16(payload, resize->rows);
        store16(payload + 2, resize->cols);
}

void agent_write_data(struct agent_packet *packet, uint32_t number, unsigned stream, const void *bytes, size_t length)
{
        uint8_t *payload = begin(packet, AGENT_DATA, number, 0, 1 + length);

        payload[0] = (uint8_t)stream;
        memcpy(payload + 1, bytes, length);
}

void agent_write_end(struct agent_packet *packet, uint32_t number, unsigned stream)
{
        *begin(packet, AGENT_END, number, 0, 1) = (uint8_t)stream;
}

void agent_write_credit(struct agent_packet *packet, uint32_t number, unsigned stream, uint32_t bytes)
{
        uint8_t *payload = begin(packet, AGENT_CREDIT, number, 0, 5);

        payload[0] = (uint8_t)stream;
        store32(payload + 1, bytes);
}

/* ---- reading ---- */

static const uint8_t *payload_of(const void *packet)
{
        return (const uint8_t *)packet + AGENT_HEADER_BYTES;
}

static size_t payload_length(const void *packet)
{
        return load32((const uint8_t *)packet + 8);
}

int agent_read_hello(const void *packet, struct agent_hello *ret_hello)
{
        const uint8_t *payload = payload_of(packet);
        struct agent_hello hello = {
                .magic = load32(payload),
                .version_min = (uint16_t)load16(payload + 4),
                .version_max = (uint16_t)load16(payload + 6),
        };

        memcpy(hello.token, payload + 8, AGENT_TOKEN_BYTES);
        if (hello.magic != AGENT_MAGIC || hello.version_min > hello.version_max)
                return -EBADMSG;
        *ret_hello = hello;
        return 0;
}

int agent_read_welcome(const void *packet, struct agent_welcome *ret_welcome)
{
        const uint8_t *payload = payload_of(packet);

        ret_welcome->version = (uint16_t)load16(payload);
        ret_welcome->flags = (uint16_t)load16(payload + 2);
        memcpy(ret_welcome->token, payload + 4, AGENT_TOKEN_BYTES);
        return 0;
}

int agent_read_start(const void *packet, struct agent_start *ret_start, const void **ret_chunk, size_t *ret_length)
{
        const uint8_t *payload = payload_of(packet);
        size_t length = payload_length(packet) - AGENT_START_HEAD_BYTES;
        struct agent_start start = {
                .flags = load32(payload),
                .rows = (uint16_t)load16(payload + 4),
                .cols = (uint16_t)load16(payload + 6),
                .spec_length = load32(payload + 8),
        };

        if ((start.flags & ~(uint32_t)(AGENT_START_JOIN | AGENT_START_INPUT | AGENT_START_TTY)) != 0 ||
            start.spec_length > AGENT_SPEC_MAX || length > start.spec_length)
                return -EBADMSG;
        *ret_start = start;
        *ret_chunk = payload + AGENT_START_HEAD_BYTES;
        *ret_length = length;
        return 0;
}

int agent_read_failed(const void *packet, struct agent_failed *ret_failed)
{
        struct agent_failed failed = { load32(payload_of(packet)), load32(payload_of(packet) + 4) };

        if (failed.stage >= AGENT_STAGES || failed.error == 0 || failed.error > 4095)
                return -EBADMSG;
        *ret_failed = failed;
        return 0;
}

static int read_usage(const uint8_t *payload, struct agent_usage *ret_usage)
{
        struct agent_usage usage = { load64(payload), load64(payload + 8), load64(payload + 16) };

        if (usage.user_us > AGENT_USAGE_MOST || usage.system_us > AGENT_USAGE_MOST ||
            usage.peak_bytes > AGENT_USAGE_MOST)
                return -EBADMSG;
        *ret_usage = usage;
        return 0;
}

int agent_read_exited(const void *packet, struct agent_exited *ret_exited)
{
        const uint8_t *payload = payload_of(packet);
        size_t length = payload_length(packet);
        struct agent_exited exited = {
                .is_signal = load32(payload),
                .value = load32(payload + 4),
                .has_usage = length == EXITED_BYTES + EXITED_USAGE_BYTES,
        };

        if (length != EXITED_BYTES && (!exited.has_usage || read_usage(payload + EXITED_BYTES, &exited.usage) < 0))
                return -EBADMSG;
        if (exited.is_signal > 1 || exited.value > (exited.is_signal ? SIGNAL_MOST : 255) ||
            (exited.is_signal && exited.value == 0))
                return -EBADMSG;
        *ret_exited = exited;
        return 0;
}

int agent_read_signal(const void *packet, uint32_t *ret_signal)
{
        uint32_t signal = load32(payload_of(packet));

        if (signal > SIGNAL_MOST)
                return -EBADMSG;
        *ret_signal = signal;
        return 0;
}

int agent_read_resize(const void *packet, struct agent_resize *ret_resize)
{
        const uint8_t *payload = payload_of(packet);

        *ret_resize = (struct agent_resize){ (uint16_t)load16(payload), (uint16_t)load16(payload + 2) };
        return 0;
}

static int read_stream(const void *packet, unsigned *ret_stream)
{
        unsigned stream = payload_of(packet)[0];

        if (stream >= AGENT_STREAMS)
                return -EBADMSG;
        *ret_stream = stream;
        return 0;
}

int agent_read_data(const void *packet, unsigned *ret_stream, const void **ret_bytes, size_t *ret_length)
{
        if (read_stream(packet, ret_stream) < 0)
                return -EBADMSG;
        *ret_bytes = payload_of(packet) + 1;
        *ret_length = payload_length(packet) - 1;
        return 0;
}

int agent_read_end(const void *packet, unsigned *ret_stream)
{
        return read_stream(packet, ret_stream);
}

int agent_read_credit(const void *packet, unsigned *ret_stream, uint32_t *ret_bytes)
{
        uint32_t bytes = load32(payload_of(packet) + 1);

        if (bytes == 0 || bytes > AGENT_WINDOW_BYTES)
                return -EBADMSG;
        if (read_stream(packet, ret_stream) < 0)
                return -EBADMSG;
        *ret_bytes = bytes;
        return 0;
}

/* ---- the spec ---- */

enum { SPEC_HEAD_BYTES = 8, TEXT_OVERHEAD_BYTES = 5 };

static size_t count_texts(const char *const *texts, size_t *ret_bytes)
{
        size_t count = 0;

        for (; texts != NULL && texts[count] != NULL; count++)
                *ret_bytes += strlen(texts[count]) + TEXT_OVERHEAD_BYTES;
        return count;
}

size_t agent_spec_size(const char *working_dir, const char *const *argv, const char *const *environment)
{
        size_t bytes = SPEC_HEAD_BYTES + strlen(working_dir) + TEXT_OVERHEAD_BYTES;
        size_t count = count_texts(argv, &bytes);

        count += count_texts(environment, &bytes);
        return bytes <= AGENT_SPEC_MAX && count <= AGENT_TEXTS_MAX ? bytes : 0;
}

static uint8_t *put_text(uint8_t *at, const char *text)
{
        size_t length = strlen(text);

        store32(at, (uint32_t)length);
        memcpy(at + 4, text, length + 1);
        return at + TEXT_OVERHEAD_BYTES + length;
}

static uint8_t *put_texts(uint8_t *at, const char *const *texts)
{
        for (; texts != NULL && *texts != NULL; texts++)
                at = put_text(at, *texts);
        return at;
}

void agent_spec_write(void *target, const char *working_dir, const char *const *argv, const char *const *environment)
{
        uint8_t *at = target;
        size_t bytes = 0;

        store32(at, (uint32_t)count_texts(argv, &bytes));
        store32(at + 4, (uint32_t)count_texts(environment, &bytes));
        at = put_text(at + SPEC_HEAD_BYTES, working_dir);
        put_texts(put_texts(at, argv), environment);
}

/* Returns NULL when no whole text is there. */
static char *take_text(uint8_t **at, const uint8_t *end)
{
        size_t left = (size_t)(end - *at);
        size_t length;
        char *text;

        if (left < TEXT_OVERHEAD_BYTES)
                return NULL;
        length = load32(*at);
        text = (char *)*at + 4;
        if (length > left - TEXT_OVERHEAD_BYTES || text[length] != '\0' || memchr(text, '\0', length) != NULL)
                return NULL;
        *at += TEXT_OVERHEAD_BYTES + length;
        return text;
}

static bool take_texts(uint8_t **at, const uint8_t *end, char **texts, size_t count)
{
        for (size_t i = 0; i < count; i++) {
                texts[i] = take_text(at, end);
                if (texts[i] == NULL)
                        return false;
        }
        texts[count] = NULL;
        return true;
}

static bool are_variables(char *const *environment)
{
        for (; *environment != NULL; environment++)
                if ((*environment)[0] == '=' || strchr(*environment, '=') == NULL)
                        return false;
        return true;
}

int agent_spec_read(void *bytes, size_t length, char **texts, size_t n_texts, struct agent_spec *ret_spec)
{
        uint8_t *at = bytes;
        const uint8_t *end = at + length;
        struct agent_spec spec = { 0 };

        if (length < SPEC_HEAD_BYTES || length > AGENT_SPEC_MAX)
                return -EBADMSG;
        spec.n_argv = load32(at);
        spec.n_environment = load32(at + 4);
        if (spec.n_argv == 0 || spec.n_argv > AGENT_TEXTS_MAX || spec.n_environment > AGENT_TEXTS_MAX - spec.n_argv)
                return -EBADMSG;
        if (spec.n_argv + spec.n_environment + 2 > n_texts)
                return -E2BIG;
        at += SPEC_HEAD_BYTES;
        spec.argv = texts;
        spec.environment = texts + spec.n_argv + 1;
        spec.working_dir = take_text(&at, end);
        if (spec.working_dir == NULL || !take_texts(&at, end, spec.argv, spec.n_argv) ||
            !take_texts(&at, end, spec.environment, spec.n_environment) || at != end)
                return -EBADMSG;
        if (spec.working_dir[0] != '/' || spec.argv[0][0] == '\0' || !are_variables(spec.environment))
                return -EBADMSG;
        *ret_spec = spec;
        return 0;
}
