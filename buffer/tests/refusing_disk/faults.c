/*
 * Preloaded into a process, makes calls on files fail as a test says while it runs: $FAULTS_CONTROL is a file
 * that holds a struct control, which the test rewrites. Nothing fails below any other path.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { WRITES = 1, SYNCS = 2, READS = 4 };

struct control {
    int32_t calls, error;
    /* Which bytes of a file: a bad place, or all of it. */
    int64_t from, to;
    /* Below which path. */
    char path[PATH_MAX];
};

static volatile struct control *control;

__attribute__((constructor)) static void start(void) {
    int fd = open(getenv("FAULTS_CONTROL"), O_RDWR | O_CLOEXEC);
    void *mapped = mmap(NULL, sizeof *control, PROT_READ, MAP_SHARED, fd, 0);
    if (fd < 0 || mapped == MAP_FAILED) {
        perror("faults: no control");
        abort();
    }
    control = mapped;
    close(fd);
}

static int fails(int call, int fd, int64_t from, size_t count) {
    char link[64], path[PATH_MAX];
    if (!(control->calls & call)) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    const char *below = (const char *)control->path;
    if (length < 0 || strncmp(path, below, strlen(below)) != 0) return 0;
    if (from >= 0 && (from >= control->to || from + (int64_t)count <= control->from)) return 0;
    errno = control->error;
    return 1;
}

#define REAL(name) ((__typeof__(name) *)dlsym(RTLD_NEXT, #name))

ssize_t write(int fd, const void *bytes, size_t count) {
    return fails(WRITES, fd, -1, count) ? -1 : REAL(write)(fd, bytes, count);
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t at) {
    return fails(WRITES, fd, at, count) ? -1 : REAL(pwrite64)(fd, bytes, count, at);
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t at) {
    return fails(WRITES, fd, at, count) ? -1 : REAL(pwrite)(fd, bytes, count, at);
}

ssize_t read(int fd, void *bytes, size_t count) {
    return fails(READS, fd, -1, count) ? -1 : REAL(read)(fd, bytes, count);
}

ssize_t pread64(int fd, void *bytes, size_t count, off64_t at) {
    return fails(READS, fd, at, count) ? -1 : REAL(pread64)(fd, bytes, count, at);
}

ssize_t pread(int fd, void *bytes, size_t count, off_t at) {
    return fails(READS, fd, at, count) ? -1 : REAL(pread)(fd, bytes, count, at);
}

int fsync(int fd) {
    return fails(SYNCS, fd, -1, 0) ? -1 : REAL(fsync)(fd);
}

int fdatasync(int fd) {
    return fails(SYNCS, fd, -1, 0) ? -1 : REAL(fdatasync)(fd);
}
