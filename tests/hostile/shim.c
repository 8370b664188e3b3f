/* A disk that fails, or that forgets: preloaded between a process and its libc.

   SHIM_ROOT     what lies below it is watched
   SHIM_FAULT    enospc, eio or erofs: what changes files fails with it ...
   SHIM_AFTER    ... from the so many-th change on
   SHIM_LOG      a file in which every change is written down, for `power.py` to replay

   Some libraries change names without libc, so those calls are also caught by a seccomp filter
   that turns them into a signal. Child processes inherit it: they must not change names.
*/
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <ucontext.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char root[PATH_MAX];
static size_t root_length;
static int fault, log_fd = -1;
static long after, changes;
static int ready;

static void prepare(void) {
  if (ready) return;
  ready = 1;
  const char *given = getenv("SHIM_ROOT");
  if (!given) return;
  snprintf(root, sizeof root, "%s", given);
  root_length = strlen(root);
  const char *kind = getenv("SHIM_FAULT");
  if (kind) fault = !strcmp(kind, "enospc") ? ENOSPC : !strcmp(kind, "erofs") ? EROFS : EIO;
  if (getenv("SHIM_AFTER")) after = atol(getenv("SHIM_AFTER"));
  const char *log = getenv("SHIM_LOG");
  if (log) log_fd = syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

/* The one place from which names are changed, and which the filter lets through. */
#if defined __x86_64__
#define ARCHITECTURE AUDIT_ARCH_X86_64
__asm__(".text\n.globl shim_gate\nshim_gate:\n mov %rdi,%rax\n mov %rsi,%rdi\n mov %rdx,%rsi\n"
        " mov %rcx,%rdx\n mov %r8,%r10\n mov %r9,%r8\n syscall\n ret\n.globl shim_gate_end\n"
        "shim_gate_end:\n");
#elif defined __aarch64__
#define ARCHITECTURE AUDIT_ARCH_AARCH64
__asm__(".text\n.globl shim_gate\nshim_gate:\n mov x8,x0\n mov x0,x1\n mov x1,x2\n mov x2,x3\n"
        " mov x3,x4\n mov x4,x5\n svc #0\n ret\n.globl shim_gate_end\nshim_gate_end:\n");
#endif
long shim_gate(long number, long a, long b, long c, long d, long e);
extern char shim_gate_end[];

static long gate(long number, long a, long b, long c, long d, long e) {
  long result = shim_gate(number, a, b, c, d, e);
  if (result < 0 && result > -4096) {
    errno = -result;
    return -1;
  }
  return result;
}

static int do_rename(int from, const char *old, int to, const char *new, unsigned flags);
static int do_link(int from, const char *old, int to, const char *new, int flags);
static int do_unlink(int folder, const char *path, int flags);

static void caught(int number, siginfo_t *info, void *context) {
  int before = errno;
  ucontext_t *state = context;
#if defined __x86_64__
  greg_t *r = state->uc_mcontext.gregs;
  long a = r[REG_RDI], b = r[REG_RSI], c = r[REG_RDX], d = r[REG_R10], e = r[REG_R8];
#else
  unsigned long long *r = state->uc_mcontext.regs;
  long a = r[0], b = r[1], c = r[2], d = r[3], e = r[4];
#endif
  long result = -1;
  switch (info->si_syscall) {
#ifdef SYS_rename
    case SYS_rename: result = do_rename(AT_FDCWD, (char *)a, AT_FDCWD, (char *)b, 0); break;
    case SYS_link: result = do_link(AT_FDCWD, (char *)a, AT_FDCWD, (char *)b, 0); break;
    case SYS_unlink: result = do_unlink(AT_FDCWD, (char *)a, 0); break;
#endif
    case SYS_renameat: result = do_rename(a, (char *)b, c, (char *)d, 0); break;
    case SYS_renameat2: result = do_rename(a, (char *)b, c, (char *)d, e); break;
    case SYS_linkat: result = do_link(a, (char *)b, c, (char *)d, e); break;
    case SYS_unlinkat: result = do_unlink(a, (char *)b, c); break;
  }
  if (result < 0) result = -errno;
#if defined __x86_64__
  r[REG_RAX] = result;
#else
  r[0] = result;
#endif
  errno = before;
}

static void catch_names(void) {
  uint64_t start = (uint64_t)shim_gate, end = (uint64_t)shim_gate_end;
  static const int calls[] = {
#ifdef SYS_rename
      SYS_rename, SYS_link, SYS_unlink,
#endif
      SYS_renameat, SYS_renameat2, SYS_linkat, SYS_unlinkat};
  enum { COUNT = sizeof calls / sizeof *calls };
  struct sock_filter code[16 + COUNT];
  int n = 0;
#define AT(field) offsetof(struct seccomp_data, field)
  code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, AT(arch));
  code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0);
  code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
  code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, AT(nr));
  for (int i = 0; i < COUNT; i++)
    code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, calls[i], COUNT - i, 0);
  code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
  code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, AT(instruction_pointer) + 4);
  code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, start >> 32, 0, 4);
  code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, AT(instruction_pointer));
  code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, (uint32_t)start, 0, 2);
  code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, (uint32_t)end, 1, 0);
  code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
  code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP);
  struct sigaction action = {.sa_sigaction = caught, .sa_flags = SA_SIGINFO | SA_NODEFER};
  struct sock_fprog program = {.len = n, .filter = code};
  if (sigaction(SIGSYS, &action, 0) || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
      prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) {
    fprintf(stderr, "the shim cannot watch names\n");
    _exit(97);
  }
}

__attribute__((constructor)) static void begin(void) {
  prepare();
  if (root_length) catch_names();
}

static int below(const char *path) {
  return root_length && !strncmp(path, root, root_length) &&
         (path[root_length] == '/' || !path[root_length]);
}

/* The absolute path of what a call names; 0 where it is not watched. */
static int named(int folder, const char *path, char *full) {
  prepare();
  if (!root_length || !path) return 0;
  if (path[0] == '/') {
    snprintf(full, PATH_MAX, "%s", path);
  } else {
    char place[PATH_MAX], link[64];
    if (folder == AT_FDCWD) {
      if (!getcwd(place, sizeof place)) return 0;
    } else {
      snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
      ssize_t length = readlink(link, place, sizeof place - 1);
      if (length < 0) return 0;
      place[length] = 0;
    }
    snprintf(full, PATH_MAX, "%s/%s", place, path);
  }
  return below(full);
}

static int opened(int fd, char *full) {
  prepare();
  if (!root_length || fd < 0) return 0;
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, full, PATH_MAX - 1);
  if (length < 0) return 0;
  full[length] = 0;
  return below(full);
}

/* Whether a change is to fail; -1 and errno then. */
static int fails(int frees) {
  if (!fault) return 0;
  long number = __sync_add_and_fetch(&changes, 1);
  if (number <= after) return 0;
  if (fault == ENOSPC && frees) return 0;
  errno = fault;
  return 1;
}

static void note(char what, const char *path, const char *other, int64_t offset, const void *data,
                 uint64_t size) {
  if (log_fd < 0) return;
  uint32_t lengths[2] = {path ? strlen(path) : 0, other ? strlen(other) : 0};
  int64_t numbers[2] = {offset, (int64_t)size};
  size_t total = 1 + sizeof lengths + sizeof numbers + lengths[0] + lengths[1] + (data ? size : 0);
  char *record = malloc(total), *at = record;
  *at++ = what;
  memcpy(at, lengths, sizeof lengths), at += sizeof lengths;
  memcpy(at, numbers, sizeof numbers), at += sizeof numbers;
  memcpy(at, path, lengths[0]), at += lengths[0];
  if (other) memcpy(at, other, lengths[1]), at += lengths[1];
  if (data) memcpy(at, data, size);
  for (size_t done = 0; done < total;) {
    long wrote = syscall(SYS_write, log_fd, record + done, total - done);
    if (wrote <= 0) break;
    done += wrote;
  }
  free(record);
}


static int do_open(int folder, const char *path, int flags, mode_t mode) {
  char full[PATH_MAX];
  int writes = (flags & O_ACCMODE) != O_RDONLY || (flags & (O_CREAT | O_TRUNC));
  int watched = writes && named(folder, path, full);
  if (!watched) return syscall(SYS_openat, folder, path, flags, mode);
  if (fails(0)) return -1;
  pthread_mutex_lock(&lock);
  struct stat before;
  int there = syscall(SYS_newfstatat, AT_FDCWD, full, &before, 0) == 0;
  int fd = syscall(SYS_openat, folder, path, flags, mode);
  if (fd >= 0) {
    if (!there) note('C', full, 0, 0, 0, 0);
    else if (flags & O_TRUNC) note('T', full, 0, 0, 0, 0);
  }
  pthread_mutex_unlock(&lock);
  return fd;
}

#define MODE mode_t mode = 0; if (flags & (O_CREAT | O_TMPFILE)) { va_list rest; va_start(rest, flags); mode = va_arg(rest, int); va_end(rest); }
int open(const char *path, int flags, ...) { MODE return do_open(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE return do_open(AT_FDCWD, path, flags | O_LARGEFILE, mode); }
int openat(int folder, const char *path, int flags, ...) { MODE return do_open(folder, path, flags, mode); }
int openat64(int folder, const char *path, int flags, ...) { MODE return do_open(folder, path, flags | O_LARGEFILE, mode); }
int creat(const char *path, mode_t mode) { return do_open(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode); }
int creat64(const char *path, mode_t mode) { return creat(path, mode); }

static ssize_t do_write(int fd, const void *data, size_t size, off64_t offset, int placed) {
  char full[PATH_MAX];
  int watched = opened(fd, full);
  if (watched && fails(0)) return -1;
  if (!watched || log_fd < 0)
    return placed ? syscall(SYS_pwrite64, fd, data, size, offset) : syscall(SYS_write, fd, data, size);
  pthread_mutex_lock(&lock);
  if (!placed) {
    struct stat status;
    int flags = fcntl(fd, F_GETFL);
    offset = lseek64(fd, 0, SEEK_CUR);
    if ((flags & O_APPEND) && fstat(fd, &status) == 0) offset = status.st_size;
  }
  ssize_t wrote = placed ? syscall(SYS_pwrite64, fd, data, size, offset) : syscall(SYS_write, fd, data, size);
  if (wrote > 0) note('W', full, 0, offset, data, wrote);
  pthread_mutex_unlock(&lock);
  return wrote;
}

ssize_t write(int fd, const void *data, size_t size) { return do_write(fd, data, size, 0, 0); }
ssize_t pwrite(int fd, const void *data, size_t size, off_t at) { return do_write(fd, data, size, at, 1); }
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) { return do_write(fd, data, size, at, 1); }

ssize_t writev(int fd, const struct iovec *parts, int count) {
  char full[PATH_MAX];
  if (!opened(fd, full)) return syscall(SYS_writev, fd, parts, count);
  ssize_t total = 0;
  for (int i = 0; i < count; i++) {
    ssize_t wrote = do_write(fd, parts[i].iov_base, parts[i].iov_len, 0, 0);
    if (wrote < 0) return total ? total : -1;
    total += wrote;
    if ((size_t)wrote < parts[i].iov_len) break;
  }
  return total;
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at) {
  ssize_t total = 0;
  for (int i = 0; i < count; i++) {
    ssize_t wrote = do_write(fd, parts[i].iov_base, parts[i].iov_len, at + total, 1);
    if (wrote < 0) return total ? total : -1;
    total += wrote;
    if ((size_t)wrote < parts[i].iov_len) break;
  }
  return total;
}
ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t at) { return pwritev(fd, parts, count, at); }

/* Copies inside the kernel would pass the log by: callers fall back to reading and writing. */
ssize_t copy_file_range(int from, off64_t *from_at, int to, off64_t *to_at, size_t size, unsigned flags) {
  char full[PATH_MAX];
  if (opened(to, full)) { errno = EXDEV; return -1; }
  return syscall(SYS_copy_file_range, from, from_at, to, to_at, size, flags);
}
ssize_t sendfile(int to, int from, off_t *at, size_t size) {
  char full[PATH_MAX];
  if (opened(to, full)) { errno = EINVAL; return -1; }
  return syscall(SYS_sendfile, to, from, at, size);
}
ssize_t sendfile64(int to, int from, off64_t *at, size_t size) { return sendfile(to, from, at, size); }

static int do_sync(int fd, int number) {
  char full[PATH_MAX];
  int watched = opened(fd, full);
  if (watched && fault == EIO && fails(0)) return -1;
  pthread_mutex_lock(&lock);
  int result = syscall(number, fd);
  if (watched && result == 0) note('S', full, 0, 0, 0, 0);
  pthread_mutex_unlock(&lock);
  return result;
}
int fsync(int fd) { return do_sync(fd, SYS_fsync); }
int fdatasync(int fd) { return do_sync(fd, SYS_fdatasync); }

static int do_truncate(int fd, off64_t size) {
  char full[PATH_MAX];
  int watched = opened(fd, full);
  if (watched && fails(1)) return -1;
  pthread_mutex_lock(&lock);
  int result = syscall(SYS_ftruncate, fd, size);
  if (watched && result == 0) note('T', full, 0, size, 0, 0);
  pthread_mutex_unlock(&lock);
  return result;
}
int ftruncate(int fd, off_t size) { return do_truncate(fd, size); }
int ftruncate64(int fd, off64_t size) { return do_truncate(fd, size); }
int fallocate(int fd, int mode, off_t at, off_t size) {
  char full[PATH_MAX];
  if (opened(fd, full)) { errno = EOPNOTSUPP; return -1; }
  return syscall(SYS_fallocate, fd, mode, at, size);
}
int fallocate64(int fd, int mode, off64_t at, off64_t size) { return fallocate(fd, mode, at, size); }
int posix_fallocate(int fd, off_t at, off_t size) { return 0; }
int posix_fallocate64(int fd, off64_t at, off64_t size) { return 0; }

static int do_rename(int from, const char *old, int to, const char *new, unsigned flags) {
  char first[PATH_MAX], second[PATH_MAX];
  int watched = named(from, old, first) | named(to, new, second);
  if (watched && fails(1)) return -1;
  pthread_mutex_lock(&lock);
  int result = gate(SYS_renameat2, from, (long)old, to, (long)new, flags);
  if (watched && result == 0) { named(from, old, first); named(to, new, second); note('R', first, second, 0, 0, 0); }
  pthread_mutex_unlock(&lock);
  return result;
}
int rename(const char *old, const char *new) { return do_rename(AT_FDCWD, old, AT_FDCWD, new, 0); }
int renameat(int from, const char *old, int to, const char *new) { return do_rename(from, old, to, new, 0); }
int renameat2(int from, const char *old, int to, const char *new, unsigned flags) { return do_rename(from, old, to, new, flags); }

static int do_link(int from, const char *old, int to, const char *new, int flags) {
  char first[PATH_MAX], second[PATH_MAX];
  int watched = named(to, new, second);
  if (watched && fails(0)) return -1;
  pthread_mutex_lock(&lock);
  int result = gate(SYS_linkat, from, (long)old, to, (long)new, flags);
  if (watched && result == 0) { named(from, old, first); note('L', first, second, 0, 0, 0); }
  pthread_mutex_unlock(&lock);
  return result;
}
int link(const char *old, const char *new) { return do_link(AT_FDCWD, old, AT_FDCWD, new, 0); }
int linkat(int from, const char *old, int to, const char *new, int flags) { return do_link(from, old, to, new, flags); }

static int do_unlink(int folder, const char *path, int flags) {
  char full[PATH_MAX];
  int watched = named(folder, path, full);
  if (watched && fails(1)) return -1;
  pthread_mutex_lock(&lock);
  int result = gate(SYS_unlinkat, folder, (long)path, flags, 0, 0);
  if (watched && result == 0) note('U', full, 0, 0, 0, 0);
  pthread_mutex_unlock(&lock);
  return result;
}
int unlink(const char *path) { return do_unlink(AT_FDCWD, path, 0); }
int unlinkat(int folder, const char *path, int flags) { return do_unlink(folder, path, flags); }
int rmdir(const char *path) { return do_unlink(AT_FDCWD, path, AT_REMOVEDIR); }

static int do_mkdir(int folder, const char *path, mode_t mode) {
  char full[PATH_MAX];
  int watched = named(folder, path, full);
  if (watched && fails(0)) return -1;
  pthread_mutex_lock(&lock);
  int result = syscall(SYS_mkdirat, folder, path, mode);
  if (watched && result == 0) note('M', full, 0, 0, 0, 0);
  pthread_mutex_unlock(&lock);
  return result;
}
int mkdir(const char *path, mode_t mode) { return do_mkdir(AT_FDCWD, path, mode); }
int mkdirat(int folder, const char *path, mode_t mode) { return do_mkdir(folder, path, mode); }
