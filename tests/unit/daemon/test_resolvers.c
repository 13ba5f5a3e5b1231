/* The resolvers that dns = auto finds on hosts of every kind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "resolvers.h"

#define NETWORK "10.213.0.0/16" /* the carrels' */

static const struct {
        const char *etc, *resolved, *manager; /* NULL: there is no such file */
        const char *found;
        const char *skipped; /* NULL: none */
} HOSTS[] = {
        { "nameserver 10.0.0.53\n", NULL, NULL, "10.0.0.53" },
        { "# by hand\nsearch example.org\n  nameserver\t10.0.0.53  # first\nnameserver 8.8.8.8\noptions edns0\n", NULL,
          NULL, "10.0.0.53,8.8.8.8" },
        { "nameserver 1.1.1.1\nnameserver 1.1.1.2\nnameserver 1.1.1.3\nnameserver 1.1.1.4", NULL, NULL,
          "1.1.1.1,1.1.1.2,1.1.1.3" },
        { "nameserver 127.0.0.1\nnameserver 10.0.0.53\n", "nameserver 9.9.9.9\n", NULL, "10.0.0.53" },
        { "nameserver 127.0.0.53\n", "nameserver 192.168.1.1\nnameserver fe80::1%2\n", NULL, "192.168.1.1" },
        { "nameserver 127.0.0.53\n", "", "nameserver 192.168.1.1\n", "192.168.1.1" },
        { "nameserver 127.0.0.1\n", NULL, "nameserver 192.168.1.1\n", "192.168.1.1" },
        { "nameserver ::1\n", "nameserver 9.9.9.9\n", NULL, "9.9.9.9" },
        { "nameserver 2001:db8::53\n", NULL, NULL, "" },
        { "nameserver 0.0.0.0\nnameserver 224.0.0.251\nnameserver 255.255.255.255\n", NULL, NULL, "" },
        { "nameserver 169.254.169.254\n", NULL, NULL,
          "169.254.169.254" }, /* a cloud's; port 53 of it alone is opened */
        { "nameserver\nnameserver 10.0.0\nnameserver 10.0.0.53,10.0.0.54\nxnameserver 10.0.0.1\n", NULL, NULL, "" },
        { "nameserver 10.0.0.53\r\n", NULL, NULL, "10.0.0.53" },
        { "", NULL, NULL, "" },
        { NULL, NULL, NULL, "" },
        { NULL, "nameserver 9.9.9.9\n", NULL, "9.9.9.9" },
        { "nameserver 10.213.0.1\nnameserver 9.9.9.9\n", NULL, NULL, "9.9.9.9", "10.213.0.1" },
        { "nameserver 10.213.255.255\n", NULL, NULL, "", "10.213.255.255" },
        { "nameserver 10.214.0.1\n", NULL, NULL, "10.214.0.1" },
        { "nameserver 10.213.100.1\nnameserver 10.213.100.2\nnameserver 10.213.100.3\nnameserver 10.213.100.4\n"
          "nameserver 1.1.1.1\n",
          "nameserver 9.9.9.9\n", NULL, "1.1.1.1", "10.213.100.1,10.213.100.2,10.213.100.3" },
        { "nameserver 127.0.0.53\n", "nameserver 10.213.0.53\n", "nameserver 192.168.1.1\n", "192.168.1.1",
          "10.213.0.53" },
};

static void put(const char *root, const char *name, const char *text)
{
        char path[256];
        FILE *file;

        if (text == NULL)
                return;
        (void)snprintf(path, sizeof path, "%s%s", root, name);
        for (char *slash = strchr(path + strlen(root) + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
                *slash = '\0';
                (void)mkdir(path, 0700);
                *slash = '/';
        }
        file = fopen(path, "we");
        assert_non_null(file);
        assert_true(fputs(text, file) >= 0);
        assert_int_equal(fclose(file), 0);
}

static void take(const char *root, const char *name)
{
        char path[256];

        (void)snprintf(path, sizeof path, "%s%s", root, name);
        (void)remove(path);
}

static void the_hosts_resolvers_are_found(void **state)
{
        static const char *const NAMES[] = { "/etc/resolv.conf", "/run/systemd/resolve/resolv.conf",
                                             "/run/NetworkManager/no-stub-resolv.conf" };
        static const char *const DIRECTORIES[] = {
                "/run/systemd/resolve", "/run/systemd", "/run/NetworkManager", "/run", "/etc", ""
        };
        char root[] = "/tmp/resolvers-XXXXXX";
        char found[RESOLVERS_BYTES], skipped[RESOLVERS_BYTES];

        (void)state;
        assert_non_null(mkdtemp(root));
        for (size_t i = 0; i < sizeof HOSTS / sizeof *HOSTS; i++) {
                put(root, NAMES[0], HOSTS[i].etc);
                put(root, NAMES[1], HOSTS[i].resolved);
                put(root, NAMES[2], HOSTS[i].manager);
                resolvers_find(root, NETWORK, found, skipped);
                for (size_t k = 0; k < 3; k++)
                        take(root, NAMES[k]);
                assert_string_equal(found, HOSTS[i].found);
                assert_string_equal(skipped, HOSTS[i].skipped != NULL ? HOSTS[i].skipped : "");
        }
        for (size_t i = 0; i < sizeof DIRECTORIES / sizeof *DIRECTORIES; i++)
                take(root, DIRECTORIES[i]);
}

/* A file without an end is read as far as a sane one goes. */
static void a_huge_file_is_no_trouble(void **state)
{
        char root[] = "/tmp/resolvers-XXXXXX";
        static char text[1 << 20];
        char found[RESOLVERS_BYTES], skipped[RESOLVERS_BYTES];

        (void)state;
        assert_non_null(mkdtemp(root));
        memset(text, 'x', sizeof text - 1);
        memcpy(text, "nameserver 10.0.0.53\n", 21);
        put(root, "/etc/resolv.conf", text);
        resolvers_find(root, "", found, skipped);
        assert_string_equal(found, "10.0.0.53");
        take(root, "/etc/resolv.conf");
        take(root, "/etc");
        take(root, "");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_hosts_resolvers_are_found),
                cmocka_unit_test(a_huge_file_is_no_trouble),
        };

        return cmocka_run_group_tests_name("resolvers", tests, NULL, NULL);
}
