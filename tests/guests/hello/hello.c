/* The image `hello` that comes with Knarr: one source, three variants, no library.
 *
 * It greets, says which variant it is, and shows its arguments. GREETING replaces the first word. */

typedef unsigned long usize;

#if defined(__wasm__)
#define VARIANT "wasi/wasm"
#elif defined(__x86_64__)
#define VARIANT "linux/amd64"
#elif defined(__aarch64__)
#define VARIANT "linux/arm64"
#endif

static const char NEXT[] =
    "\n"
    "One image holds this program for wasi/wasm, linux/amd64 and linux/arm64; Knarr chose.\n"
    "Try next:\n"
    "  knarr run --explain hello                       why this variant\n"
    "  knarr run --platform linux/amd64 hello          another one\n"
    "  knarr run -e GREETING=Ahoy hello there          with environment and arguments\n"
    "  knarr images                                    what there is, and its variants\n";

static usize length(const char *text) {
    usize n = 0;
    while (text[n]) n++;
    return n;
}

/* One buffer and one write: the lines of two containers never mix. */
static char out[4096];
static usize used;

static void put(const char *text) {
    usize n = length(text);
    for (usize i = 0; i < n && used < sizeof out; i++) out[used++] = text[i];
}

static const char *greeting(char **environment) {
    static const char name[] = "GREETING=";
    for (; *environment; environment++) {
        usize i = 0;
        while (name[i] && (*environment)[i] == name[i]) i++;
        if (!name[i]) return *environment + i;
    }
    return "Hello";
}

static void compose(int count, char **arguments, char **environment) {
    put(greeting(environment));
    put(" from Knarr! You are running the " VARIANT " variant.\n");
    if (count > 1) put("Arguments:");
    for (int i = 1; i < count; i++) {
        put(" ");
        put(arguments[i]);
    }
    if (count > 1) put("\n");
    put(NEXT);
}

#if defined(__wasm__)

/* WASI preview 1 */
#define IMPORT(name) __attribute__((import_module("wasi_snapshot_preview1"), import_name(#name)))
IMPORT(args_sizes_get) int args_sizes_get(usize *count, usize *size);
IMPORT(args_get) int args_get(char **pointers, char *buffer);
IMPORT(environ_sizes_get) int environ_sizes_get(usize *count, usize *size);
IMPORT(environ_get) int environ_get(char **pointers, char *buffer);
IMPORT(proc_exit) _Noreturn void proc_exit(int code);
IMPORT(fd_write) int fd_write(int fd, const void *vectors, usize count, usize *written);

#define POINTERS 512
#define BYTES 32768
static char *arguments[POINTERS], *environment[POINTERS];
static char argument_bytes[BYTES], environment_bytes[BYTES];

__attribute__((export_name("_start"))) void _start(void) {
    usize count = 0, size = 0, variables = 0, variable_size = 0, written = 0;
    args_sizes_get(&count, &size);
    environ_sizes_get(&variables, &variable_size);
    if (count < POINTERS && size <= BYTES) args_get(arguments, argument_bytes);
    else count = 0;
    if (variables < POINTERS && variable_size <= BYTES) environ_get(environment, environment_bytes);
    compose((int)count, arguments, environment);
    struct { const char *start; usize length; } vector = { out, used };
    if (fd_write(1, &vector, 1, &written) != 0) proc_exit(1);
}

#else

/* Linux: the kernel leaves the argument count, the arguments and the environment on the stack. */
#if defined(__x86_64__)
#define WRITE 1
#define EXIT 231
static long call(long number, long a, long b, long c) {
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
    return result;
}
__asm__(".globl _start\n_start: xor %ebp, %ebp\n mov %rsp, %rdi\n and $-16, %rsp\n call start\n");
#elif defined(__aarch64__)
#define WRITE 64
#define EXIT 94
static long call(long number, long a, long b, long c) {
    register long x8 __asm__("x8") = number, x0 __asm__("x0") = a, x1 __asm__("x1") = b, x2 __asm__("x2") = c;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2) : "memory");
    return x0;
}
__asm__(".globl _start\n_start: mov x29, xzr\n mov x0, sp\n and sp, x0, #-16\n bl start\n");
#endif

__attribute__((used)) void start(long *stack) {
    int count = (int)stack[0];
    char **arguments = (char **)(stack + 1);
    compose(count, arguments, arguments + count + 1);
    call(EXIT, call(WRITE, 1, (long)out, (long)used) == (long)used ? 0 : 1, 0, 0);
}

#endif
