#if defined(__x86_64__)
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,bmi2,prefer-vector-width=512")
#define VL 16
#define NV 4
#else
#define VL 4
#define NV 2
#endif
#define LW_TABLE lw_avx512
#include "native_impl.h"
