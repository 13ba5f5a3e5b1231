/* Converts between the JSON of the Docker Engine API and the structs of engine.h. Whatever is decoded here comes from
 * outside: it is bounded, typed and fuzzed (tests/fuzz). */
#pragma once

#include "engine.h"
#include "profile.h"
#include "str.h"

/* The parts of a create request that depend on the machine and the engine. */
struct wire_machine {
        bool has_ipv6;              /* the kernel has IPv6: it must be switched off inside */
        uint64_t nproc;             /* RLIMIT_NPROC inside; 0: as the engine sets it */
        enum profile_engine engine; /* whose mounts of the profile are added; 0: none */
        const char *seccomp_option; /* "seccomp=" and our filter, in the engine's form */
};

/* The body of POST /containers/create: the hardened profile with the spec's values (docker/create-body.c). malloc'd
 * JSON; NULL when out of memory. */
char *wire_encode_create(const struct container_spec *spec, const struct wire_machine *machine);
/* The body of POST /containers/{id}/exec. */
char *wire_encode_exec(const struct exec_command *command);

/* Each returns 0, -EBADMSG (not what the API documents) or -ENOMEM. Outputs are untouched on failure. */
int wire_decode_id(const char *json, size_t length, char ret_id[static ENGINE_ID_BYTES]);
int wire_decode_container(const char *json, size_t length, struct container_info *ret_info);
int wire_decode_list(const char *json, size_t length, struct container_info **ret_infos, size_t *ret_count);
int wire_decode_exec(const char *json, size_t length, struct exec_status *ret_status);
int wire_decode_image(const char *json, size_t length, struct image_info *ret_image);
/* Decodes GET /images/json into one image for each name. *ret_images is malloc'd; NULL without any. */
int wire_decode_images(const char *json, size_t length, struct image_info **ret_images, size_t *ret_count);
int wire_decode_version(const char *json, size_t length, struct engine_about *ret_about, char ret_min[static 16]);
/* The message of an error answer ({"message":"..."}), or else its trimmed text. */
void wire_decode_message(const char *json, size_t length, char *ret_text, size_t size);

/* One line of the progress report of image load and build. Fields that the line does not have are left unchanged. */
struct wire_progress {
        char error[192];     /* the engine's message; "": none so far */
        char reference[256]; /* "Loaded image: ..." */
};
int wire_decode_progress(const char *json, size_t length, struct wire_progress *ret_progress);

/* One line of GET /events; its strings are in the struct. -ENOENT: an event that is ignored. An exec_id may be ""
 * (Podman's exec_died). */
struct wire_event {
        struct engine_event event;
        char id[ENGINE_ID_BYTES];
        char exec_id[ENGINE_ID_BYTES];
};
int wire_decode_event(const char *json, size_t length, struct wire_event *ret_event);

void container_info_release(struct container_info *info);
/* Copies the labels into an info that has none. After -ENOMEM, container_info_release frees what was copied. */
int container_info_copy_labels(struct container_info *info, const struct label *labels, size_t n_labels);
void container_infos_free(struct container_info *infos, size_t count);

/* Docker's multiplexed stream: each frame has an 8-byte header (stream, 0, 0, 0, length big-endian; "Attach to a
 * container" in the Engine API). Feed bytes as they come. Each complete or partial payload is passed on without
 * copying. */
struct wire_stream {
        unsigned char header[8];
        size_t header_length;
        uint32_t left; /* of the current frame's payload */
};
/* Returns 0 or -EBADMSG (unknown stream number). */
int wire_stream_feed(struct wire_stream *stream, const void *bytes, size_t length,
                     void (*on_output)(void *arg, int stream_number, const void *bytes, size_t length), void *arg);
