/* The one template of a carrel's container. It has the parts that vary. The parts that never do (capabilities, seccomp,
 * read-only root, ...) are constants in engine/profile.c, out of any caller's reach. */
#pragma once

#include "engine.h"
#include "host-mounts.h"
#include "pool.h"
#include "profile.h"

#define LABEL_PRODUCT "io.carrel.product"
#define LABEL_POOL "io.carrel.pool"
#define LABEL_USER "io.carrel.user"
#define LABEL_SPEC_HASH "io.carrel.spec-hash"
#define LABEL_SPEC "io.carrel.spec"
#define LABEL_GENERATION "io.carrel.generation"
#define LABEL_SLOT "io.carrel.slot"
#define PRODUCT "carrel"

/* In the directory of the carrel's agent (names.h). */
/* In runtime_dir: the empty directory that is on /workspace in a warm carrel. */
#define TEMPLATE_VACANT "vacant"
#define TEMPLATE_PASSWD "passwd"
#define TEMPLATE_GROUP "group"
#define TEMPLATE_RESOLVERS "resolv.conf"

enum {
        TEMPLATE_UID = 1000, /* of `user`, where the engine maps ids */
        TEMPLATE_LABELS = 7,
        TEMPLATE_BINDS = 6 + HOST_MOUNTS_MAX + PROFILE_LXCFS_FILES,
        TEMPLATE_TMPFS = 1,
        TEMPLATE_DNS_MAX = 8,
        TEMPLATE_DNS_BYTES = 256
};

struct buffer;

/* A container_spec and everything that it points to. Must not be moved. Release with template_release. */
struct template
{
        struct container_spec spec;
        struct label labels[TEMPLATE_LABELS];
        struct bind_mount binds[TEMPLATE_BINDS];
        struct tmpfs_mount tmpfs[TEMPLATE_TMPFS];
        const char *argv[2];
        const char *dns[TEMPLATE_DNS_MAX + 1];
        char dns_text[TEMPLATE_DNS_BYTES];
        char generation[24];
        char tmpfs_options[96];
        char *workspace;                  /* host path of the user's directory */
        char *agent_directory;            /* host path of the directory with the agent's socket; NULL: no agent */
        char *passwd, *group, *resolvers; /* host paths in agent_directory */
        char *spec_json;
};

/* owner: of the user's files on disk; inside: the ids of the user's programs; slot: the name of the agent's directory.
 * mounts: the operator's; may be
 * NULL. has_lxcfs: the files of lxcfs are bound. user NULL: a warm carrel. Borrows all arguments. Returns 0, or -ENOMEM
 * or -EINVAL with *why; then there is nothing to release. */
int template_fill(struct template *ret_template, const struct pool_options *options, const struct host_mounts *mounts,
                  bool has_lxcfs, const struct pool_owner *owner, const struct pool_owner *inside, const char *user,
                  const char *name, const char *slot, const struct carrel_spec *spec, const char *hash,
                  uint64_t generation, struct fault *why);
void template_release(struct template *template);
/* Puts the empty directory on its /workspace, read-only, as in one without a user: the user's image is attached after
 * the start. 0, or a negative errno, and the template is released. */
int template_vacate(struct template *template, const struct pool_options *options, struct fault *why);

/* Appends the resolv.conf of a carrel with these resolvers, which template_check_dns has accepted. Podman writes no
 * resolv.conf into containers without a network of its own. 0 or -ENOMEM. */
int template_resolv_conf(struct buffer *buffer, const char *dns);

/* Accepts at most TEMPLATE_DNS_MAX IPv4 or IPv6 addresses separated by commas, and "". 0 or -EINVAL. */
int template_check_dns(const char *dns, struct fault *why);

/* Whose container this is: the user of its label. A warm one has no such label. After a claim it gets one where the
 * engine can change labels; elsewhere its name, after the prefix, is the user's. Untrusted text; NULL: neither. */
const char *template_user(const struct container_info *info, const char *prefix);
/* Whether the labels are those of a carrel of this pool, and it is this user's (NULL: any user's, or warm). */
bool template_is_ours(const struct container_info *info, const struct pool_options *options, const char *user);
/* The generation of the label; 0: no such label, or not a number. */
uint64_t template_generation(const struct container_info *info);
