#include "unpack.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "entry.h"
#include "reader.h"
#include "scope.h"
#include "str.h"
#include "tree.h"

struct unpacking {
        struct archive *archive;
        int root_fd;
        struct budget *budget;
        uint64_t n_entries;
        char last[ENTRY_SHOWN_BYTES]; /* the previous entry, to report where an archive was cut */
};

/* ---- convert libarchive's entry ---- */

static const struct {
        mode_t type;
        enum entry_type as;
        const char *what;
} TYPES[] = {
        { AE_IFREG, ENTRY_FILE, NULL },
        { AE_IFDIR, ENTRY_DIRECTORY, NULL },
        { AE_IFLNK, ENTRY_SYMLINK, NULL },
        { AE_IFCHR, ENTRY_OTHER, "a character device" },
        { AE_IFBLK, ENTRY_OTHER, "a block device" },
        { AE_IFIFO, ENTRY_OTHER, "a FIFO" },
        { AE_IFSOCK, ENTRY_OTHER, "a socket" },
};

static struct entry describe(struct archive_entry *header)
{
        struct entry entry = {
                .name = archive_entry_pathname(header),
                .type = ENTRY_OTHER,
                .mode = (uint32_t)archive_entry_perm(header),
                .bytes = archive_entry_size(header) > 0 ? (uint64_t)archive_entry_size(header) : 0,
                .modified_s = archive_entry_mtime(header) > 0 ? (int64_t)archive_entry_mtime(header) : 0,
        };

        for (size_t i = 0; i < sizeof TYPES / sizeof *TYPES; i++) {
                if (TYPES[i].type == archive_entry_filetype(header)) {
                        entry.type = TYPES[i].as;
                        entry.what = TYPES[i].what;
                }
        }
        if (entry.type == ENTRY_SYMLINK)
                entry.target = archive_entry_symlink(header);
        if (archive_entry_hardlink(header) != NULL) {
                entry.type = ENTRY_HARDLINK;
                entry.target = archive_entry_hardlink(header);
                entry.bytes = 0; /* pax may repeat the content, which is that of the target */
        }
        return entry;
}

/* ---- the budget ---- */

static int one_too_many(const char *name, struct fault *why)
{
        char shown[ENTRY_SHOWN_BYTES];

        entry_show(name, shown);
        return fault_set(why, FAULT_IMAGE_REFUSED, E2BIG, "entry \"%s\" is one too many (image_max_entries)", shown);
}

static int charge(struct budget *budget, const struct entry *entry, struct fault *why)
{
        char shown[ENTRY_SHOWN_BYTES], size[STR_SIZE_BYTES];

        entry_show(entry->name, shown);
        if (budget->entries == 0)
                return one_too_many(entry->name, why);
        budget->entries--;
        if (entry->type != ENTRY_FILE)
                return 0;
        if (entry->bytes > budget->bytes)
                return fault_set(why, FAULT_IMAGE_REFUSED, EFBIG,
                                 "entry \"%s\" (%s) makes the image too large (image_max_size)", shown,
                                 str_size(entry->bytes, size));
        budget->bytes -= entry->bytes;
        return 0;
}

/* ---- one entry ---- */

/* Reports a failure of the file system while an entry was made. */
static int failed(const char *name, int r, struct fault *why)
{
        char shown[ENTRY_SHOWN_BYTES];

        entry_show(name, shown);
        if (r == -ENOSPC || r == -EDQUOT || r == -ENOMEM || r == -EMFILE || r == -ENFILE)
                return fault_set(why, FAULT_RESOURCE_EXHAUSTED, -r, "no room for \"%s\": %s", shown, strerror(-r));
        if (r == -E2BIG)
                return one_too_many(name, why);
        if (r == -ENAMETOOLONG)
                return fault_set(why, FAULT_IMAGE_REFUSED, -r, "entry \"%s\" has too long or too deep a name", shown);
        if (r == -EXDEV || r == -ELOOP)
                return fault_set(why, FAULT_IMAGE_REFUSED, -r, "entry \"%s\" goes through a link that leads out",
                                 shown);
        return fault_set(why, FAULT_IMAGE_REFUSED, -r, "entry \"%s\" cannot be made: %s", shown, strerror(-r));
}

static int write_at(int fd, const char *bytes, size_t length, off_t offset)
{
        while (length > 0) {
                ssize_t n = pwrite(fd, bytes, length, offset);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return n < 0 ? -errno : -ENOSPC;
                bytes += n;
                offset += n;
                length -= (size_t)n;
        }
        return 0;
}

static int copy_data(struct archive *archive, int fd, const struct entry *entry, struct fault *why)
{
        const void *bytes;
        size_t length;
        la_int64_t offset;
        int r;

        while ((r = archive_read_data_block(archive, &bytes, &length, &offset)) == ARCHIVE_OK) {
                if (offset < 0 || (uint64_t)offset > entry->bytes || length > entry->bytes - (uint64_t)offset)
                        return failed(entry->name, -EBADMSG, why);
                r = write_at(fd, bytes, length, offset);
                if (r < 0)
                        return failed(entry->name, r, why);
        }
        if (r != ARCHIVE_EOF) {
                char shown[ENTRY_SHOWN_BYTES];
                char where[ENTRY_SHOWN_BYTES + 16];

                entry_show(entry->name, shown);
                (void)snprintf(where, sizeof where, "entry \"%s\"", shown);
                return reader_fault(archive, where, why);
        }
        return ftruncate(fd, (off_t)entry->bytes) < 0 ? failed(entry->name, -errno, why) : 0;
}

static int make_file(struct unpacking *unpacking, const struct entry *entry, const char *path, struct fault *why)
{
        const struct timespec times[2] = { { .tv_sec = entry->modified_s }, { .tv_sec = entry->modified_s } };
        AUTO(auto_close) int fd = -1;
        int r = tree_file(unpacking->root_fd, path, entry_mode(entry), &fd);

        if (r < 0)
                return failed(entry->name, r, why);
        r = copy_data(unpacking->archive, fd, entry, why);
        if (r == 0 && futimens(fd, times) < 0)
                r = failed(entry->name, -errno, why);
        return r;
}

static int make(struct unpacking *unpacking, const struct entry *entry, const char *path, const char *target,
                struct fault *why)
{
        int root_fd = unpacking->root_fd;
        int r = tree_way(root_fd, path, &unpacking->budget->entries);

        if (r < 0)
                return failed(entry->name, r, why);
        if (entry->type == ENTRY_FILE)
                return make_file(unpacking, entry, path, why);
        if (entry->type == ENTRY_DIRECTORY)
                r = tree_directory(root_fd, path, entry_mode(entry));
        else if (entry->type == ENTRY_SYMLINK)
                r = tree_symlink(root_fd, path, entry->target, entry->modified_s);
        else
                r = tree_hardlink(root_fd, path, target);
        return r < 0 ? failed(entry->name, r, why) : 0;
}

/* ---- all entries ---- */

enum pass { PASS_WHITEOUTS, PASS_FILES_OF_LAYER, PASS_FILES };

static int remove_hidden(struct unpacking *unpacking, const struct entry *entry, enum whiteout whiteout,
                         const char *hidden, struct fault *why)
{
        int r = 0;

        if (whiteout == WHITEOUT_ONE)
                r = tree_remove_path(unpacking->root_fd, hidden);
        else if (whiteout == WHITEOUT_ALL)
                r = tree_empty(unpacking->root_fd, hidden);
        return r < 0 ? failed(entry->name, r, why) : 0;
}

static int take(struct unpacking *unpacking, const struct entry *entry, enum pass pass, struct fault *why)
{
        char path[ENTRY_PATH_BYTES];
        char target[ENTRY_PATH_BYTES];
        char hidden[ENTRY_PATH_BYTES];
        enum whiteout whiteout;
        int r = entry_path(entry->name, path, why);

        if (r == 0)
                r = entry_judge(entry, path, target, why);
        if (r < 0)
                return r;
        whiteout = pass == PASS_FILES ? WHITEOUT_NONE : entry_whiteout(path, hidden);
        if (pass == PASS_WHITEOUTS)
                return remove_hidden(unpacking, entry, whiteout, hidden, why);
        r = charge(unpacking->budget, entry, why);
        return r < 0 || whiteout != WHITEOUT_NONE ? r : make(unpacking, entry, path, target, why);
}

static int cut_short(struct unpacking *unpacking, struct fault *why)
{
        char where[ENTRY_SHOWN_BYTES + 32];

        if (unpacking->n_entries == 0)
                return reader_fault(unpacking->archive, "the archive", why);
        (void)snprintf(where, sizeof where, "the data after entry \"%s\"", unpacking->last);
        return reader_fault(unpacking->archive, where, why);
}

static int take_all(struct unpacking *unpacking, enum pass pass, struct fault *why)
{
        struct archive_entry *header;
        int r;

        while ((r = archive_read_next_header(unpacking->archive, &header)) == ARCHIVE_OK || r == ARCHIVE_WARN) {
                struct entry entry = describe(header);

                if (entry.name == NULL)
                        return cut_short(unpacking, why);
                r = take(unpacking, &entry, pass, why);
                if (r < 0)
                        return r;
                unpacking->n_entries++;
                entry_show(entry.name, unpacking->last);
        }
        return r == ARCHIVE_EOF ? 0 : cut_short(unpacking, why);
}

/* A tar ends with two blocks of zeros. libarchive accepts one that was cut between two entries; it has then read
 * nothing where the next header would be. */
static int check_end(const struct unpacking *unpacking, struct fault *why)
{
        if (unpacking->n_entries == 0 ||
            archive_filter_bytes(unpacking->archive, 0) > archive_read_header_position(unpacking->archive))
                return 0;
        return fault_set(why, FAULT_IMAGE_REFUSED, EBADMSG, "the archive is cut short after entry \"%s\"",
                         unpacking->last);
}

static int run(int archive_fd, int root_fd, enum pass pass, struct budget *budget, struct fault *why)
{
        AUTO(reader_free) struct archive *archive = NULL;
        struct unpacking unpacking = { .root_fd = root_fd, .budget = budget };
        int r = reader_open(&archive, archive_fd, READER_TAR, why);

        if (r < 0)
                return r;
        unpacking.archive = archive;
        r = take_all(&unpacking, pass, why);
        return r < 0 ? r : check_end(&unpacking, why);
}

/* Whiteouts are applied first, so that an opaque mark after its siblings does not remove them. */
int unpack_tar(int archive_fd, int root_fd, bool is_layer, struct budget *budget, struct fault *why)
{
        int r = is_layer ? run(archive_fd, root_fd, PASS_WHITEOUTS, budget, why) : 0;

        return r < 0 ? r : run(archive_fd, root_fd, is_layer ? PASS_FILES_OF_LAYER : PASS_FILES, budget, why);
}
