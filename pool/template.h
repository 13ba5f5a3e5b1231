/* The one template of a carrel's container. What varies is here; what never does (capabilities, seccomp, read-only
 * root, ...) is constant in engine/profile.c, where no caller reaches it. */
#pragma once

#include "engine.h"
#include "pool.h"

#define LABEL_PRODUCT "io.carrel.product"
#define LABEL_POOL "io.carrel.pool"
#define LABEL_USER "io.carrel.user"
#define LABEL_SPEC_HASH "io.carrel.spec-hash"
#define LABEL_SPEC "io.carrel.spec"
#define LABEL_GENERATION "io.carrel.generation"
#define PRODUCT "carrel"

#define TEMPLATE_INIT "/.carrel/init"
/* In the directory of the carrel's agent (names.h). */
#define TEMPLATE_PASSWD "passwd"
#define TEMPLATE_GROUP "group"
#define TEMPLATE_RESOLVERS "resolv.conf"

enum {
        TEMPLATE_UID = 1000, /* of `user`, where the engine maps ids */
        TEMPLATE_LABELS = 6,
        TEMPLATE_BINDS = 6,
        TEMPLATE_TMPFS = 1,
        TEMPLATE_DNS_MAX = 8,
        TEMPLATE_DNS_BYTES = 256
};

struct buffer;

/* A container_spec and everything it points into. Not movable. Release with template_release. */
struct template
{
        struct container_spec spec;
        struct label labels[TEMPLATE_LABELS];
        struct bind_mount binds[TEMPLATE_BINDS];
        struct tmpfs_mount tmpfs[TEMPLATE_TMPFS];
        const char *argv[2];
        const char *environment[5];
        const char *dns[TEMPLATE_DNS_MAX + 1];
        char dns_text[TEMPLATE_DNS_BYTES];
        char user_variable[sizeof "CARREL_USER=" + USER_ID_MAX];
        char generation[24];
        char tmpfs_options[96];
        char *workspace;                  /* host path of the user's directory */
        char *agent_directory;            /* host path of what the agent finds its socket in; NULL: none */
        char *passwd, *group, *resolvers; /* in it */
        char *spec_json;
};

/* owner: of his files on disk; inside: who his programs run as. Borrows everything but the ret. Returns 0, or -ENOMEM /
 * -EINVAL with *why; nothing is to release then. */
int template_fill(struct template *ret_template, const struct pool_options *options, const struct pool_owner *owner,
                  const struct pool_owner *inside, const char *user, const char *name, const struct carrel_spec *spec,
                  const char *hash, uint64_t generation, struct fault *why);
void template_release(struct template *template);

/* Appends the resolv.conf of a carrel with these resolvers (template_check_dns has passed them). Podman writes none
 * without a network of its own. 0 or -ENOMEM. */
int template_resolv_conf(struct buffer *buffer, const char *dns);

/* IPv4 or IPv6 addresses separated by commas, at most TEMPLATE_DNS_MAX; "" is fine. 0 or -EINVAL. */
int template_check_dns(const char *dns, struct fault *why);

/* Whether the labels say: a carrel of this pool, for this user (NULL: any). */
bool template_is_ours(const struct container_info *info, const char *pool, const char *user);
/* Of the label; 0 when there is none or it is no number. */
uint64_t template_generation(const struct container_info *info);
