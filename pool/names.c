#include "names.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "carrel.h"
#include "inside.h"
#include "pool-inside.h"
#include "scope.h"
#include "str.h"
#include "template.h"

/* Debian's static ids (base-passwd), so that the owners of an image's files have names. Most are the same in other
 * distributions. */
static const struct account {
        const char *name;
        uint32_t id;
        uint32_t gid; /* of the account, where there is one */
        const char *home, *shell;
} ACCOUNTS[] = {
        { "root", 0, 0, "/root", "/bin/sh" },
        { "daemon", 1, 1, "/usr/sbin", NULL },
        { "bin", 2, 2, "/bin", NULL },
        { "sys", 3, 3, "/dev", NULL },
        { "games", 5, 60, "/usr/games", NULL },
        { "man", 6, 12, "/var/cache/man", NULL },
        { "lp", 7, 7, "/var/spool/lpd", NULL },
        { "mail", 8, 8, "/var/mail", NULL },
        { "www-data", 33, 33, "/var/www", NULL },
        { "backup", 34, 34, "/var/backups", NULL },
        { "_apt", 42, 65534, "/nonexistent", NULL },
        { "nobody", 65534, 65534, "/nonexistent", NULL },
};

static const struct {
        const char *name;
        uint32_t id;
} GROUPS[] = {
        { "root", 0 },    { "daemon", 1 }, { "bin", 2 },    { "sys", 3 },    { "adm", 4 },       { "tty", 5 },
        { "disk", 6 },    { "lp", 7 },     { "mail", 8 },   { "man", 12 },   { "www-data", 33 }, { "backup", 34 },
        { "shadow", 42 }, { "utmp", 43 },  { "staff", 50 }, { "games", 60 }, { "users", 100 },   { "nogroup", 65534 },
};

int names_passwd(struct buffer *buffer, const struct pool_owner *user)
{
        int r = buffer_format(buffer, "user:x:%" PRIu32 ":%" PRIu32 ":user:" INSIDE_WORKSPACE ":/bin/sh\n", user->uid,
                              user->gid);

        for (size_t i = 0; r == 0 && i < sizeof ACCOUNTS / sizeof *ACCOUNTS; i++) {
                const struct account *account = &ACCOUNTS[i];

                if (account->id != user->uid)
                        r = buffer_format(buffer, "%s:x:%" PRIu32 ":%" PRIu32 ":%s:%s:%s\n", account->name, account->id,
                                          account->gid, account->name, account->home,
                                          account->shell != NULL ? account->shell : "/usr/sbin/nologin");
        }
        return r;
}

int names_group(struct buffer *buffer, const struct pool_owner *user)
{
        int r = buffer_format(buffer, "user:x:%" PRIu32 ":\n", user->gid);

        for (size_t i = 0; r == 0 && i < sizeof GROUPS / sizeof *GROUPS; i++)
                if (GROUPS[i].id != user->gid)
                        r = buffer_format(buffer, "%s:x:%" PRIu32 ":\n", GROUPS[i].name, GROUPS[i].id);
        return r;
}

static int put_resolvers(const struct carrel *carrel)
{
        struct buffer text = { 0 };
        int r = template_resolv_conf(&text, carrel->pool->options.dns);

        if (r == 0 && carrel->listener != NULL)
                r = agent_listener_put(carrel->listener, TEMPLATE_RESOLVERS, text.data, text.length);
        buffer_free(&text);
        return r;
}

int names_write(const struct carrel *carrel, struct fault *why)
{
        static const struct {
                const char *name;
                int (*compose)(struct buffer *buffer, const struct pool_owner *user);
        } FILES[] = { { TEMPLATE_PASSWD, names_passwd }, { TEMPLATE_GROUP, names_group } };
        struct pool_owner inside = carrel_inside(carrel);
        int r = put_resolvers(carrel);

        for (size_t i = 0; r == 0 && carrel->listener != NULL && i < sizeof FILES / sizeof *FILES; i++) {
                struct buffer text = { 0 };

                r = FILES[i].compose(&text, &inside);
                if (r == 0)
                        r = agent_listener_put(carrel->listener, FILES[i].name, text.data, text.length);
                buffer_free(&text);
        }
        return r < 0 ? fault_set(why, FAULT_RESOURCE_EXHAUSTED, -r,
                                 "cannot write the carrel's passwd, group and resolv.conf below runtime_dir: %s",
                                 strerrordesc_np(-r))
                     : 0;
}
