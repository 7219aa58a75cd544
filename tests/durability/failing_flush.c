/* Loaded before the C library: flushes of the log of a SQLite database fail for as long as the file
   exists that SEALOCK_TEST_FAILING_FLUSH names. Everything else is done as it was asked for. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int fails(int file) {
    const char *flag = getenv("SEALOCK_TEST_FAILING_FLUSH");
    char link[64], path[4096];
    if (flag == NULL || access(flag, F_OK) != 0) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 4) return 0;
    path[length] = 0;
    return strcmp(path + length - 4, "-wal") == 0;
}

int fdatasync(int file) {
    if (fails(file)) { errno = EIO; return -1; }
    return (int)syscall(SYS_fdatasync, file);
}

int fsync(int file) {
    if (fails(file)) { errno = EIO; return -1; }
    return (int)syscall(SYS_fsync, file);
}
