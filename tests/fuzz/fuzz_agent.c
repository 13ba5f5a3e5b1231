/* Messages between carreld and carrel-init. The first byte says which side reads, the second how many descriptors came
 * with the message. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent-wire.h"

enum { TEXTS = 64 };

static void read_spec(const uint8_t *bytes, size_t length)
{
        char *texts[TEXTS];
        struct agent_spec spec;
        uint8_t *copy = malloc(length + 1);

        if (copy == NULL)
                abort();
        memcpy(copy, bytes, length);
        if (agent_spec_read(copy, length, texts, TEXTS, &spec) == 0)
                for (size_t i = 0; i < spec.n_argv; i++)
                        if (strlen(spec.argv[i]) > length)
                                abort();
        free(copy);
}

static void read_start(const uint8_t *packet)
{
        struct agent_start start;
        const void *chunk;
        size_t length;

        if (agent_read_start(packet, &start, &chunk, &length) == 0)
                read_spec(chunk, length);
}

static void read_payload(const uint8_t *packet, unsigned kind)
{
        union {
                struct agent_hello hello;
                struct agent_welcome welcome;
                struct agent_failed failed;
                struct agent_exited exited;
                struct agent_resize resize;
                uint32_t number;
        } any;
        const void *bytes;
        size_t length;
        unsigned stream;

        switch (kind) {
        case AGENT_HELLO:
                (void)agent_read_hello(packet, &any.hello);
                break;
        case AGENT_WELCOME:
                (void)agent_read_welcome(packet, &any.welcome);
                break;
        case AGENT_START:
                read_start(packet);
                break;
        case AGENT_FAILED:
                (void)agent_read_failed(packet, &any.failed);
                break;
        case AGENT_EXITED:
                (void)agent_read_exited(packet, &any.exited);
                break;
        case AGENT_SIGNAL:
                (void)agent_read_signal(packet, &any.number);
                break;
        case AGENT_RESIZE:
                (void)agent_read_resize(packet, &any.resize);
                break;
        case AGENT_DATA:
                (void)agent_read_data(packet, &stream, &bytes, &length);
                break;
        case AGENT_END:
                (void)agent_read_end(packet, &stream);
                break;
        case AGENT_CREDIT:
                (void)agent_read_credit(packet, &stream, &any.number);
                break;
        default:
                break;
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct agent_header header;
        uint8_t *packet;

        if (size < 2)
                return 0;
        packet = malloc(size); /* exactly as long as it is, so that the sanitizer sees every byte too many */
        if (packet == NULL)
                abort();
        memcpy(packet, data + 2, size - 2);
        if (agent_wire_check((enum agent_side)(data[0] & 1), packet, size - 2, data[1] & 7, false, &header) == 0)
                read_payload(packet, header.kind);
        read_spec(data + 2, size - 2);
        free(packet);
        return 0;
}
