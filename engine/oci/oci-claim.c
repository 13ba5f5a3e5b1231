/* Claim: another name and other labels in the record of a container. No runtime hears of it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "oci-engine.h"
#include "scope.h"
#include "str.h"

struct claim {
        char id[ENGINE_NAME_BYTES]; /* or name, of the container */
        struct container_info next; /* the new name and labels; after the claim, the former ones */
};

static int write_record(struct oci_container *container)
{
        AUTO(auto_free) char *record = oci_container_encode(container);

        if (record == NULL)
                return -ENOMEM;
        if (strlen(record) > OCI_RECORD_MAX)
                return -E2BIG;
        return oci_store_write(container->oci, container->info.id, OCI_RECORD, record);
}

/* The link to the new name comes before the record, and the former one goes after it (oci-names.c). After a failure
 * both stay: it is then not known which record is on disk. */
static int rewrite(struct oci_container *container, struct container_info *next)
{
        int r = oci_names_take(container->oci, next->name, container->info.id);

        if (r < 0)
                return r;
        oci_container_exchange(&container->info, next);
        r = write_record(container);
        if (r < 0)
                oci_container_exchange(&container->info, next);
        else if (strcmp(container->info.name, next->name) != 0)
                oci_names_drop(container->oci, next->name, container->info.id);
        return r;
}

static int carry_out(struct oci *oci, struct claim *claim, struct fault *why)
{
        struct oci_container *container;
        int r = oci_store_index(oci);

        if (r < 0)
                return oci_store_blame(r, why);
        container = oci_store_find(oci, claim->id);
        r = container != NULL ? rewrite(container, &claim->next) : -ENOENT;
        if (r == -ENOENT) /* or another process has removed it */
                return fault_set(why, FAULT_NOT_FOUND, ENOENT, "there is no container %s", claim->id);
        if (r == -EEXIST)
                return fault_set(why, FAULT_NAME_TAKEN, EEXIST, "a container has the name %s", claim->next.name);
        return r < 0 ? oci_store_blame(r, why) : 0;
}

/* In a turn of its own: the reply of another call may still show the labels that it frees. */
static void answer_claim(struct oci_call *call)
{
        int r = oci_store_lock(call->oci);

        if (r == 0) {
                (void)carry_out(call->oci, call->extra, &call->why);
                oci_store_unlock(call->oci);
        } else {
                (void)oci_store_blame(r, &call->why);
        }
        oci_call_answer_now(call);
}

static void free_claim(struct oci_call *call)
{
        struct claim *claim = call->extra;

        container_info_release(&claim->next);
        free(claim);
}

int oci_claim(struct engine *engine, const char *id, const char *name, const struct label *labels, size_t n_labels,
              engine_done done, void *arg, struct engine_call **ret_call)
{
        struct oci_call *call;
        struct claim *claim;
        int r;

        if (!oci_container_is_name(name) || n_labels > OCI_LABELS_MAX)
                return -EINVAL;
        r = oci_call_new(&call, (struct oci *)engine, "claim a container", done, arg);
        if (r < 0)
                return r;
        claim = call->extra = calloc(1, sizeof *claim);
        r = claim != NULL ? 0 : -ENOMEM;
        if (r == 0) {
                call->free_extra = free_claim;
                r = str_copy(claim->id, sizeof claim->id, id);
        }
        if (r == 0)
                r = str_copy(claim->next.name, sizeof claim->next.name, name);
        if (r == 0)
                r = container_info_copy_labels(&claim->next, labels, n_labels);
        if (r < 0) {
                oci_call_free(call);
                return r;
        }
        oci_call_later(call, answer_claim, 0.0);
        *ret_call = &call->base;
        return 0;
}
