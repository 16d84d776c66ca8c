/*
 * Preloaded into a process, writes down in one order what it does to the files below $POWERCUT_ROOT:
 * each call and its entry in $POWERCUT_LOG happen under one lock. A write to $POWERCUT_MARKS is only
 * written down: it is how the process says what it was promised. See recording.rs for the form. Two marks are orders as well:
 * "dying N" ends the process while it waits for the Nth sync from there on, which is marked with "killed", and "refusing N M" has the
 * next N syncs fail with EIO and the next M writes with ENOSPC.
 *
 * A call that changes files and that this does not know ends the process: nothing goes unseen.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { OPEN = 1, CLOSE, WRITE, TRUNCATE, SYNC_BEGIN, SYNC_END, RENAME, UNLINK, MKDIR, RMDIR, MARK, SYNC_FAILED };
enum { MAX_FDS = 4096, LOG_FD = 1000 };

struct entry {
    uint32_t kind;
    int32_t fd;
    uint64_t at;
    uint64_t bytes;
};

static pthread_mutex_t order = PTHREAD_MUTEX_INITIALIZER;
static char root[PATH_MAX], marks[PATH_MAX];
static int log_fd = -1;
static char seen[MAX_FDS], is_marks[MAX_FDS];
static int refused_syncs, refused_writes, syncs_to_live;

static void die(const char *what) {
    fprintf(stderr, "powercut: %s: %s\n", what, strerror(errno));
    abort();
}

static void write_all(const void *bytes, size_t count) {
    const char *from = bytes;
    while (count > 0) {
        ssize_t written = syscall(SYS_write, log_fd, from, count);
        if (written <= 0) die("the log cannot be written");
        from += written;
        count -= (size_t)written;
    }
}

static void note(uint32_t kind, int fd, uint64_t at, const void *bytes, size_t count) {
    struct entry entry = {kind, fd, at, count};
    write_all(&entry, sizeof entry);
    write_all(bytes, count);
}

__attribute__((constructor)) static void start(void) {
    const char *log = getenv("POWERCUT_LOG"), *top = getenv("POWERCUT_ROOT"), *promises = getenv("POWERCUT_MARKS");
    if (!log || !top || !promises) return;
    snprintf(root, sizeof root, "%s", top);
    snprintf(marks, sizeof marks, "%s", promises);
    int fd = (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0) die(log);
    log_fd = (int)syscall(SYS_dup3, fd, LOG_FD, O_CLOEXEC);
    if (log_fd < 0) die("dup3");
    syscall(SYS_close, fd);
}

static int is_below(const char *path) {
    size_t length = strlen(root);
    return log_fd >= 0 && strncmp(path, root, length) == 0 && (path[length] == '/' || path[length] == 0);
}

/* The absolute path of `path` as seen from the directory `dir`. */
static const char *absolute(int dir, const char *path, char *into) {
    if (path[0] == '/' || log_fd < 0) return path;
    char link[64];
    snprintf(link, sizeof link, dir == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/%d", dir);
    ssize_t length = readlink(link, into, PATH_MAX - 1);
    if (length < 0) return path;
    snprintf(into + length, PATH_MAX - (size_t)length, "/%s", path);
    return into;
}

static int tracked(int fd) { return fd >= 0 && fd < MAX_FDS && seen[fd]; }

static int open_noted(int dir, const char *given, int flags, mode_t mode) {
    char into[PATH_MAX];
    const char *path = absolute(dir, given, into);
    int to_marks = log_fd >= 0 && strcmp(path, marks) == 0;
    if (!to_marks && !is_below(path)) return (int)syscall(SYS_openat, dir, given, flags, mode);
    pthread_mutex_lock(&order);
    int fd = (int)syscall(SYS_openat, dir, given, flags, mode);
    int problem = errno;
    if (fd >= MAX_FDS) die("more open files than it can follow");
    if (fd >= 0) {
        is_marks[fd] = (char)to_marks;
        seen[fd] = !to_marks;
        if (!to_marks) note(OPEN, fd, (uint64_t)flags, path, strlen(path));
    }
    pthread_mutex_unlock(&order);
    errno = problem;
    return fd;
}

#define MODE_OF(flags) \
    mode_t mode = 0; \
    if ((flags) & (O_CREAT | O_TMPFILE)) { \
        va_list rest; \
        va_start(rest, flags); \
        mode = va_arg(rest, mode_t); \
        va_end(rest); \
    }

int open(const char *path, int flags, ...) { MODE_OF(flags) return open_noted(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE_OF(flags) return open_noted(AT_FDCWD, path, flags, mode); }
int openat(int dir, const char *path, int flags, ...) { MODE_OF(flags) return open_noted(dir, path, flags, mode); }
int openat64(int dir, const char *path, int flags, ...) { MODE_OF(flags) return open_noted(dir, path, flags, mode); }

int close(int fd) {
    if (!tracked(fd)) return (int)syscall(SYS_close, fd);
    pthread_mutex_lock(&order);
    note(CLOSE, fd, 0, NULL, 0);
    seen[fd] = 0;
    int result = (int)syscall(SYS_close, fd);
    pthread_mutex_unlock(&order);
    return result;
}

/* Whether a call is to fail, under the lock. */
static int refuses(int *refused, int error) {
    if (*refused == 0) return 0;
    *refused -= 1;
    errno = error;
    return 1;
}

static void obey(const char *mark) {
    sscanf(mark, "dying %d", &syncs_to_live);
    sscanf(mark, "refusing %d %d", &refused_syncs, &refused_writes);
}

/* Does `call`, which returns how much it wrote, and writes that down. */
#define NOTED_WRITE(fd, offset, bytes, call) \
    pthread_mutex_lock(&order); \
    uint64_t at = (uint64_t)(offset); \
    ssize_t written = refuses(&refused_writes, ENOSPC) ? -1 : (call); \
    int problem = errno; \
    if (written > 0) note(WRITE, fd, at, bytes, (size_t)written); \
    pthread_mutex_unlock(&order); \
    errno = problem; \
    return written;

ssize_t write(int fd, const void *bytes, size_t count) {
    if (fd >= 0 && fd < MAX_FDS && is_marks[fd]) {
        pthread_mutex_lock(&order);
        note(MARK, fd, 0, bytes, count);
        char mark[64];
        snprintf(mark, sizeof mark, "%.*s", (int)count, (const char *)bytes);
        obey(mark);
        pthread_mutex_unlock(&order);
        return (ssize_t)count;
    }
    if (!tracked(fd)) return syscall(SYS_write, fd, bytes, count);
    NOTED_WRITE(fd, syscall(SYS_lseek, fd, 0, SEEK_CUR), bytes, syscall(SYS_write, fd, bytes, count))
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t offset) {
    if (!tracked(fd)) return syscall(SYS_pwrite64, fd, bytes, count, offset);
    NOTED_WRITE(fd, offset, bytes, syscall(SYS_pwrite64, fd, bytes, count, offset))
}
ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t offset) { return pwrite(fd, bytes, count, offset); }

int ftruncate(int fd, off_t length) {
    if (!tracked(fd)) return (int)syscall(SYS_ftruncate, fd, length);
    pthread_mutex_lock(&order);
    int result = (int)syscall(SYS_ftruncate, fd, length);
    int problem = errno;
    if (result == 0) note(TRUNCATE, fd, (uint64_t)length, NULL, 0);
    pthread_mutex_unlock(&order);
    errno = problem;
    return result;
}
int ftruncate64(int fd, off64_t length) { return ftruncate(fd, length); }

/* A sync covers what was written before it began, and counts from when it ends. The disk itself need not be waited for: what is
 * durable is decided by whoever reads the log. */
static int sync_noted(int data_only, int fd) {
    pthread_mutex_lock(&order);
    int is_refused = refuses(&refused_syncs, EIO);
    note(is_refused ? SYNC_FAILED : SYNC_BEGIN, fd, (uint64_t)data_only, NULL, 0);
    if (syncs_to_live > 0 && --syncs_to_live == 0) {
        /* Under the lock: no other thread is within a call. */
        note(MARK, -1, 0, "killed\n", 7);
        syscall(SYS_kill, getpid(), SIGKILL);
        for (;;) pause();
    }
    pthread_mutex_unlock(&order);
    if (is_refused) {
        errno = EIO;
        return -1;
    }
    sched_yield();
    pthread_mutex_lock(&order);
    note(SYNC_END, fd, (uint64_t)data_only, NULL, 0);
    pthread_mutex_unlock(&order);
    return 0;
}
int fsync(int fd) { return tracked(fd) ? sync_noted(0, fd) : (int)syscall(SYS_fsync, fd); }
int fdatasync(int fd) { return tracked(fd) ? sync_noted(1, fd) : (int)syscall(SYS_fdatasync, fd); }

/* Does `call` on the entry of a directory and writes that down, with one or two paths in `payload`. */
#define NOTED_ENTRY(kind, payload, length, call) \
    pthread_mutex_lock(&order); \
    int result = (int)(call); \
    int problem = errno; \
    if (result == 0) note(kind, -1, 0, payload, length); \
    pthread_mutex_unlock(&order); \
    errno = problem; \
    return result;

int rename(const char *from, const char *to) {
    if (!is_below(from) && !is_below(to)) return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
    char both[2 * PATH_MAX];
    int length = snprintf(both, sizeof both, "%s%c%s", from, 0, to);
    NOTED_ENTRY(RENAME, both, (size_t)length, syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0))
}

int unlinkat(int dir, const char *given, int flags) {
    char into[PATH_MAX];
    const char *path = absolute(dir, given, into);
    if (!is_below(path)) return (int)syscall(SYS_unlinkat, dir, given, flags);
    NOTED_ENTRY(flags & AT_REMOVEDIR ? RMDIR : UNLINK, path, strlen(path), syscall(SYS_unlinkat, dir, given, flags))
}
int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }
int rmdir(const char *path) { return unlinkat(AT_FDCWD, path, AT_REMOVEDIR); }

int mkdir(const char *path, mode_t mode) {
    if (!is_below(path)) return (int)syscall(SYS_mkdirat, AT_FDCWD, path, mode);
    NOTED_ENTRY(MKDIR, path, strlen(path), syscall(SYS_mkdirat, AT_FDCWD, path, mode))
}

#define UNKNOWN(fd, what) if (tracked(fd)) die("it does not know " what)
ssize_t writev(int fd, const struct iovec *parts, int count) {
    UNKNOWN(fd, "writev");
    return syscall(SYS_writev, fd, parts, count);
}
ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset) {
    UNKNOWN(fd, "pwritev");
    return syscall(SYS_pwritev, fd, parts, count, offset, 0);
}
ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t offset) { return pwritev(fd, parts, count, offset); }
int fallocate(int fd, int mode, off_t offset, off_t length) {
    UNKNOWN(fd, "fallocate");
    return (int)syscall(SYS_fallocate, fd, mode, offset, length);
}
int fallocate64(int fd, int mode, off64_t offset, off64_t length) { return fallocate(fd, mode, offset, length); }
int posix_fallocate(int fd, off_t offset, off_t length) { return fallocate(fd, 0, offset, length) == 0 ? 0 : errno; }
int posix_fallocate64(int fd, off64_t offset, off64_t length) { return posix_fallocate(fd, offset, length); }
ssize_t copy_file_range(int in, off64_t *from, int out, off64_t *to, size_t count, unsigned flags) {
    UNKNOWN(out, "copy_file_range");
    return syscall(SYS_copy_file_range, in, from, out, to, count, flags);
}
int link(const char *from, const char *to) {
    if (is_below(to)) die("it does not know link");
    return (int)syscall(SYS_linkat, AT_FDCWD, from, AT_FDCWD, to, 0);
}
int dup(int fd) {
    UNKNOWN(fd, "dup");
    return (int)syscall(SYS_dup, fd);
}
