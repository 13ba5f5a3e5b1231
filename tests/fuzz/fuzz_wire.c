/* The decoders of engine/wire. The first byte chooses one. Decoded values are read to their end, and a multiplexed
 * stream must give the same in two pieces as whole. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "probe.h"
#include "wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool is_so)
{
        if (!is_so)
                abort();
}

static void fuzz_container(const char *json, size_t length)
{
        struct container_info info;

        if (wire_decode_container(json, length, &info) < 0)
                return;
        check(strlen(info.id) > 0 && strlen(info.name) < ENGINE_NAME_BYTES && info.pid >= 0);
        check(container_label(&info, "io.carrel.user") == NULL || info.n_labels > 0);
        container_info_release(&info);
}

static void fuzz_list(const char *json, size_t length)
{
        struct container_info *infos;
        size_t count;

        if (wire_decode_list(json, length, &infos, &count) < 0)
                return;
        for (size_t i = 0; i < count; i++)
                check(strlen(infos[i].id) > 0 && infos[i].pid == 0);
        container_infos_free(infos, count);
}

static void fuzz_event(const char *json, size_t length)
{
        struct wire_event event;

        if (wire_decode_event(json, length, &event) == 0)
                check(event.event.id == event.id && strlen(event.id) > 0 && event.event.exit_code >= 0);
}

static void fuzz_small(const char *json, size_t length)
{
        char id[ENGINE_ID_BYTES];
        char text[32];
        char min[16];
        struct exec_status status;
        struct image_info image;
        struct image_info *images;
        size_t n_images;
        struct engine_about about = { 0 };
        struct wire_progress progress = { 0 };

        (void)probe_judge_info(json, length, "crun", NULL);
        check(wire_decode_id(json, length, id) < 0 || strspn(id, "0123456789abcdefABCDEF") == strlen(id));
        check(wire_decode_exec(json, length, &status) < 0 || status.is_running || status.exit_code >= 0);
        check(wire_decode_image(json, length, &image) < 0 || image.id[0] != '\0');
        if (wire_decode_images(json, length, &images, &n_images) == 0) {
                for (size_t i = 0; i < n_images; i++)
                        check(images[i].id[0] != '\0' && images[i].reference[0] != '\0');
                free(images);
        }
        check(wire_decode_version(json, length, &about, min) < 0 || about.version[0] != '\0');
        check(wire_decode_progress(json, length, &progress) <= 0);
        wire_decode_message(json, length, text, sizeof text);
        check(strlen(text) < sizeof text && strpbrk(text, "\n\r\033") == NULL);
}

struct heard {
        struct buffer streams[3];
};

static void hear(void *arg, int stream, const void *bytes, size_t length)
{
        struct heard *heard = arg;

        check(stream == 1 || stream == 2);
        buffer_append(&heard->streams[stream], bytes, length);
}

static bool is_equal(const struct buffer *a, const struct buffer *b)
{
        return a->length == b->length && (a->length == 0 || memcmp(a->data, b->data, a->length) == 0);
}

static void fuzz_stream(const char *bytes, size_t length)
{
        size_t cut = length > 0 ? (unsigned char)bytes[0] % (length + 1) : 0;
        struct wire_stream whole = { 0 };
        struct wire_stream parts = { 0 };
        struct heard once = { 0 };
        struct heard twice = { 0 };

        int r = wire_stream_feed(&whole, bytes, length, hear, &once);
        int r_parts = wire_stream_feed(&parts, bytes, cut, hear, &twice);
        if (r_parts == 0)
                r_parts = wire_stream_feed(&parts, bytes + cut, length - cut, hear, &twice);
        check(r == r_parts);
        for (int i = 1; i <= 2; i++) {
                check(is_equal(&once.streams[i], &twice.streams[i]));
                buffer_free(&once.streams[i]);
                buffer_free(&twice.streams[i]);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static void (*const TARGETS[])(const char *bytes, size_t length) = {
                fuzz_container, fuzz_list, fuzz_event, fuzz_small, fuzz_stream,
        };

        if (size == 0)
                return 0;
        TARGETS[data[0] % 5]((const char *)data + 1, size - 1);
        return 0;
}
