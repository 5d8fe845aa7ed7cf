/* A driver library that does nothing: enough of libcuda.so.1 for Triton's launcher to load a kernel and to launch it.
   Each launch is kept, with the first eight bytes of each argument, so that a test can read what a GPU would have got. */
#include <stdint.h>
#include <string.h>

typedef int CUresult;
typedef struct {
  unsigned grid[3], block[3], shared;
  void *stream, *attrs;
  unsigned n_attrs;
} Config;

#define KEPT 256
#define ARGS 32
typedef struct {
  unsigned grid[3], block[3], shared, n_args;
  uint64_t stream, function, args[ARGS];
} Launch;

static Launch launches[KEPT];
static int n_launches, n_args = 1, device;
static int contexts[16];
static uint64_t n_functions = 1000;
static void *context;

int stub_count(void) { return n_launches; }
Launch *stub_launches(void) { return launches; }
void stub_reset(int args) { n_launches = 0; n_args = args; }

CUresult cuLaunchKernelEx(const Config *c, void *f, void **params, void **extra) {
  Launch *l = &launches[n_launches++ % KEPT];
  memcpy(l->grid, c->grid, sizeof l->grid);
  memcpy(l->block, c->block, sizeof l->block);
  l->shared = c->shared;
  l->stream = (uint64_t)c->stream;
  l->function = (uint64_t)f;
  l->n_args = n_args;
  for (int i = 0; i < n_args && i < ARGS; i++) memcpy(&l->args[i], params[i], 8);
  return 0;
}

CUresult cuInit(unsigned flags) { return 0; }
CUresult cuDriverGetVersion(int *v) { *v = 13000; return 0; }
CUresult cuDeviceGetCount(int *n) { *n = 2; return 0; }
CUresult cuDeviceGet(int *d, int ordinal) { *d = ordinal; return 0; }
CUresult cuDeviceGetAttribute(int *value, int attribute, int d) {
  switch (attribute) {
    case 75: *value = 9; break;                          /* compute capability, major */
    case 76: *value = 0; break;
    case 97: *value = 227 * 1024; break;                 /* shared memory per block, opt in */
    case 81: *value = 228 * 1024; break;                 /* shared memory per multiprocessor */
    case 12: *value = 65536; break;                      /* registers per block */
    case 16: *value = 132; break;                        /* multiprocessors */
    case 10: *value = 32; break;                         /* warp size */
    default: *value = 1024;
  }
  return 0;
}
CUresult cuDevicePrimaryCtxRetain(void **c, int d) { *c = &contexts[d]; return 0; }
CUresult cuCtxGetCurrent(void **c) { *c = context; return 0; }
CUresult cuCtxSetCurrent(void *c) { context = c; device = (int)((int *)c - contexts); return 0; }
CUresult cuCtxGetDevice(int *d) { *d = device; return 0; }
CUresult cuCtxGetLimit(size_t *v, int l) { *v = 1 << 20; return 0; }
CUresult cuCtxSetLimit(int l, size_t v) { return 0; }

/* A capture that some other thread has begun in the global mode: only a relaxed thread may load, or make memory. */
static int captured, n_loads, n_loads_captured;
static __thread int mode;
int stub_mode(void) { return mode; }
int stub_loads(void) { return n_loads; }
int stub_loads_captured(void) { return n_loads_captured; }
int stub_may_allocate(void) { return !captured || mode == 2; }
void stub_capture(int on) { captured = on; }
CUresult cuThreadExchangeStreamCaptureMode(int *m) { int before = mode; mode = *m; *m = before; return 0; }
CUresult cuModuleLoadData(void **m, const void *image) {
  if (captured && mode != 2) return 901; /* CUDA_ERROR_STREAM_CAPTURE_INVALIDATED */
  n_loads++, n_loads_captured += captured;
  *m = (void *)image;
  return 0;
}
CUresult cuModuleUnload(void *m) { return 0; }
CUresult cuModuleGetFunction(void **f, void *m, const char *name) { *f = (void *)n_functions++; return 0; }
CUresult cuFuncGetAttribute(int *v, int attribute, void *f) { *v = attribute == 0 ? 1024 : 0; return 0; }
CUresult cuFuncSetAttribute(void *f, int attribute, int v) { return 0; }
CUresult cuFuncSetCacheConfig(void *f, int c) { return 0; }
CUresult cuGetErrorString(int e, const char **s) { *s = "stub"; return 0; }
CUresult cuPointerGetAttribute(void *data, int attribute, uint64_t p) { *(uint64_t *)data = p; return 0; }
CUresult cuPointerGetAttributes(unsigned n, int *attributes, void **data, uint64_t p) { return 0; }
CUresult cuStreamIsCapturing(void *s, int *status) { *status = 0; return 0; }
CUresult cuOccupancyMaxActiveClusters(int *n, void *f, const Config *c) { *n = 1; return 0; }
CUresult cuTensorMapEncodeTiled(void *map) { return 0; }
CUresult cuTensorMapEncodeIm2col(void *map) { return 0; }
