/* What would be there after a loss of power: of each file below HOME what it held when it was last synced, of each
   folder the names that it had when it was last synced. Preloaded into a server's processes; kept in SHADOW:

     files/KEY     a file's bytes
     folders/KEY   a line "f KEY NAME" or "d KEY NAME" for each file and folder in it
     root          the KEY of HOME itself

   KEY is an inode's number and time of birth, because numbers are used again. Whatever is replaced here is replaced
   by renaming, so that hard links to it are a picture of one moment. */

#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

struct key {
    char text[64];
    int folder;
};

static int find_key(int fd, const char *name, struct key *key) {
    struct statx found;
    int flags = *name ? AT_SYMLINK_NOFOLLOW : AT_EMPTY_PATH;
    if (statx(fd, name, flags, STATX_INO | STATX_BTIME | STATX_TYPE, &found))
        return -1;
    snprintf(key->text, sizeof key->text, "%llu-%lld-%u", (unsigned long long)found.stx_ino,
             (long long)found.stx_btime.tv_sec, found.stx_btime.tv_nsec);
    key->folder = S_ISDIR(found.stx_mode);
    return S_ISDIR(found.stx_mode) || S_ISREG(found.stx_mode) ? 0 : -1;
}

static int begin(const char *shadow, char *draft) {
    snprintf(draft, PATH_MAX, "%s/draft-%d-%ld", shadow, (int)getpid(), (long)syscall(SYS_gettid));
    return open(draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
}

static void finish(const char *shadow, const char *draft, const char *kind, const char *name) {
    char place[PATH_MAX];
    snprintf(place, sizeof place, "%s/%s%s", shadow, kind, name);
    if (rename(draft, place))
        abort();
}

static void keep_file(const char *shadow, const char *path, const struct key *key) {
    static __thread char piece[1 << 16];
    char draft[PATH_MAX];
    ssize_t count;
    int from = open(path, O_RDONLY | O_CLOEXEC), to = begin(shadow, draft);
    if (from < 0 || to < 0)
        abort();
    while ((count = read(from, piece, sizeof piece)) > 0)
        if (write(to, piece, count) != count)
            abort();
    close(from);
    close(to);
    finish(shadow, draft, "files/", key->text);
}

static void keep_folder(const char *shadow, const char *path, const struct key *key) {
    char draft[PATH_MAX];
    DIR *folder = opendir(path);
    FILE *to = fdopen(begin(shadow, draft), "w");
    struct dirent *each;
    struct key of;
    if (!folder || !to)
        abort();
    while ((each = readdir(folder)))
        if (strcmp(each->d_name, ".") && strcmp(each->d_name, "..") && !find_key(dirfd(folder), each->d_name, &of))
            fprintf(to, "%c %s %s\n", of.folder ? 'd' : 'f', of.text, each->d_name);
    closedir(folder);
    fclose(to);
    finish(shadow, draft, "folders/", key->text);
}

static void keep(int fd) {
    const char *home = getenv("SYNCED_HOME"), *shadow = getenv("SYNCED_SHADOW");
    char link[64], path[PATH_MAX], draft[PATH_MAX];
    struct key key;
    ssize_t length;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    if (!home || !shadow || (length = readlink(link, path, sizeof path - 1)) < 0)
        return;
    path[length] = 0;
    if (strncmp(path, home, strlen(home)) || find_key(fd, "", &key))
        return;
    if (!key.folder) {
        keep_file(shadow, link, &key);
        return;
    }
    keep_folder(shadow, link, &key);
    if (!strcmp(path, home)) {
        int to = begin(shadow, draft);
        if (write(to, key.text, strlen(key.text)) < 0)
            abort();
        close(to);
        finish(shadow, draft, "", "root");
    }
}

int fsync(int fd) {
    keep(fd);
    return ((int (*)(int))dlsym(RTLD_NEXT, "fsync"))(fd);
}

int fdatasync(int fd) {
    keep(fd);
    return ((int (*)(int))dlsym(RTLD_NEXT, "fdatasync"))(fd);
}
