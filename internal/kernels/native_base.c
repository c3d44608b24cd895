#define LW_TABLE lw_base
#define VL 4
#define NV 2
#include "native_impl.h"
