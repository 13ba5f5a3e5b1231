/* Create writes files and runs nothing: one run of the runtime does its own create and start (oci-start.c). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "oci-engine.h"
#include "oci-root.h"
#include "scope.h"
#include "str.h"

enum { PATH_BYTES = 512, UID_MAX_USABLE = 0xffff0000U /* ids near -1 have special meanings */ };

/* ---- names and ids ---- */

static int choose_id(char ret_id[static ENGINE_ID_BYTES])
{
        unsigned char bytes[(OCI_ID_BYTES - 1) / 2];

        if (getrandom(bytes, sizeof bytes, 0) != sizeof bytes)
                return -EAGAIN;
        for (size_t i = 0; i < sizeof bytes; i++)
                (void)snprintf(ret_id + 2 * i, 3, "%02x", bytes[i]);
        return 0;
}

static bool is_range_taken(const struct oci *oci, uint32_t base)
{
        const struct list *containers = &oci->containers;

        LIST_EACH ((struct list *)containers, at) {
                if (LIST_ENTRY(at, struct oci_container, node)->userns_base == base)
                        return true;
        }
        return false;
}

/* Chooses a range that no record has, under the lock. The search begins at a random range, so that pools that cannot
 * see each other's records rarely meet. Only the record reserves a range. */
static int choose_range(const struct oci *oci, uint32_t *ret_base, struct fault *why)
{
        uint32_t count = (UID_MAX_USABLE - oci->userns_base) / PROFILE_USERNS_IDS;
        uint32_t start = 0;

        if (getrandom(&start, sizeof start, 0) != sizeof start)
                start = 0;
        for (uint32_t i = 0; i < count; i++) {
                uint32_t base = oci->userns_base + (start % count + i) % count * PROFILE_USERNS_IDS;

                if (is_range_taken(oci, base))
                        continue;
                *ret_base = base;
                return 0;
        }
        return fault_set(why, FAULT_RESOURCE_EXHAUSTED, EAGAIN,
                         "every range of user ids above %u is taken: lower userns_base, or remove carrels",
                         oci->userns_base);
}

static int fill_container(struct oci_container *container, const struct container_spec *spec,
                          const struct stored_image *image)
{
        const char *parent = spec->cgroup_parent != NULL ? spec->cgroup_parent : "";
        int r = choose_id(container->info.id);

        if (parent[0] == '\0')
                parent = "/carrel";
        if (r < 0 || (r = str_copy(container->info.name, sizeof container->info.name, spec->name)) < 0 ||
            (r = str_copy(container->image_id, sizeof container->image_id, image->id)) < 0 ||
            (r = container_info_copy_labels(&container->info, spec->labels, spec->n_labels)) < 0)
                return r;
        if (snprintf(container->cgroup, sizeof container->cgroup, "%s%s/%s", parent[0] == '/' ? "" : "/", parent,
                     container->info.id) >= (int)sizeof container->cgroup)
                return -ENAMETOOLONG;
        container->info.status = CONTAINER_CREATED;
        container->uid = spec->uid;
        container->gid = spec->gid;
        container->nofile = spec->nofile;
        container->working_dir = strdup(spec->working_dir != NULL ? spec->working_dir : "/");
        container->environment = oci_config_environment(image->environment, spec->environment);
        if ((r = oci_points_make(spec, &container->points)) < 0)
                return r;
        return container->working_dir != NULL && container->environment != NULL ? 0 : -ENOMEM;
}

/* ---- files ---- */

static int write_resolver(struct oci *oci, const struct oci_container *container, const struct container_spec *spec)
{
        struct buffer text = { 0 };
        int r = profile_resolv_conf(&text, spec->dns);

        if (r == 0)
                r = oci_store_write(oci, container->info.id, "resolv.conf", text.data);
        buffer_free(&text);
        return r;
}

static int write_names(struct oci *oci, const struct oci_container *container, const struct container_spec *spec)
{
        struct buffer text = { 0 };
        int r = buffer_format(&text, "127.0.0.1\tlocalhost %s\n", spec->hostname);

        if (r == 0)
                r = oci_store_write(oci, container->info.id, "hosts", text.data);
        buffer_free(&text);
        if (r == 0)
                r = buffer_format(&text, "%s\n", spec->hostname);
        if (r == 0)
                r = oci_store_write(oci, container->info.id, "hostname", text.data);
        buffer_free(&text);
        return r;
}

/* The disk of the images may be full, for instance of users' files. Then the hold keeps the image while carreld lives,
 * and the next carreld pins it when it adopts the container. */
static int pin_image(struct oci *oci, const struct oci_container *container, const struct stored_image *image)
{
        int r = oci_store_pin_image(oci, container, image->hold_fd);

        return r == -ENOSPC || r == -EDQUOT || r == -EROFS ? 0 : r;
}

/* Under the lock. */
static void discard(struct oci *oci, const struct oci_container *container)
{
        if (oci_store_remove(oci, container->info.id) == 0)
                oci_names_drop(oci, container->info.name, container->info.id);
}

/* The record comes first: recovery finds everything else by it. Only its name is taken before (oci-names.c). */
static int write_bundle(struct oci *oci, const struct oci_container *container, const struct container_spec *spec,
                        const struct stored_image *image)
{
        AUTO(auto_free) char *record = oci_container_encode(container);
        AUTO(auto_free) char *config = oci_config_encode(oci, container, spec, image);
        int r = record != NULL && config != NULL ? oci_store_make(oci, container->info.id) : -ENOMEM;

        if (r == 0)
                r = pin_image(oci, container, image);
        if (r == 0)
                r = oci_store_write(oci, container->info.id, OCI_RECORD, record);
        if (r == 0)
                r = write_resolver(oci, container, spec);
        if (r == 0)
                r = write_names(oci, container, spec);
        if (r == 0)
                r = oci_store_write(oci, container->info.id, "config.json", config);
        if (r < 0) {
                discard(oci, container);
                image_store_unpin(image->hold_fd, container->info.id);
        }
        return r;
}

/* ---- create ---- */

/* Made after the record, so that recovery clears the cgroups by it. */
static int make_cgroup(struct oci *oci, const struct oci_container *container, const struct container_spec *spec,
                       struct fault *why)
{
        int r = oci->makes_cgroups ? oci_cgroup_make(container->cgroup, spec, why) : 0;

        if (r < 0 && oci_cgroup_clear(container->cgroup) == 0)
                discard(oci, container);
        return r;
}

/* Under the lock: no other process may write a record between the search for a name and range and the record. */
static int make_container(struct oci *oci, struct oci_container *container, const struct container_spec *spec,
                          struct stored_image *image, struct fault *why)
{
        int r = oci_store_scan(oci);

        if (r < 0)
                return oci_store_blame(r, why);
        if (oci->has_userns)
                r = choose_range(oci, &container->userns_base, why);
        if (r < 0)
                return r;
        r = fill_container(container, spec, image);
        if (r == 0)
                r = oci_store_add(oci, container);
        if (r == 0)
                r = oci_names_take(oci, spec->name, container->info.id);
        if (r == -EEXIST)
                return fault_set(why, FAULT_NAME_TAKEN, EEXIST, "a container has the name %s", spec->name);
        if (r == 0)
                r = write_bundle(oci, container, spec, image);
        return r < 0 ? oci_store_blame(r, why) : make_cgroup(oci, container, spec, why);
}

static int make(struct oci *oci, const struct container_spec *spec, char ret_id[static ENGINE_ID_BYTES],
                struct fault *why)
{
        AUTO(stored_image_release) struct stored_image image = STORED_IMAGE_NONE;
        struct oci_container *container;
        int r = image_store_find(oci->images, spec->image, &image, why);

        if (r < 0)
                return r;
        container = oci_container_new(oci);
        if (container == NULL)
                return oci_store_blame(-ENOMEM, why);
        r = oci_store_lock(oci);
        r = r < 0 ? oci_store_blame(r, why) : make_container(oci, container, spec, &image, why);
        oci_store_unlock(oci);
        if (r < 0) {
                oci_container_free(container);
                return r;
        }
        container->image_hold_fd = TAKE_FD(image.hold_fd);
        memcpy(ret_id, container->info.id, ENGINE_ID_BYTES);
        return 0;
}

int oci_create(struct engine *engine, const struct container_spec *spec, engine_done done, void *arg,
               struct engine_call **ret_call)
{
        struct oci *oci = (struct oci *)engine;
        struct oci_call *call;
        int r;

        if (!oci_container_is_name(spec->name) || spec->uid == 0 || spec->gid == 0 || spec->owner_uid == 0 ||
            spec->owner_gid == 0 ||
            (oci->has_userns && (spec->uid >= PROFILE_USERNS_IDS || spec->gid >= PROFILE_USERNS_IDS)))
                return -EINVAL;
        r = oci_call_new(&call, oci, "create a container", done, arg);
        if (r < 0)
                return r;
        if (oci->unavailable.kind != FAULT_NONE)
                call->why = oci->unavailable;
        else if (make(oci, spec, call->id, &call->why) == 0)
                call->reply.id = call->id;
        oci_call_answer(call);
        *ret_call = &call->base;
        return 0;
}
