# cython: language_level=3
"""The scanner's machine once more, compiled for processors with AVX2; chosen when a scanner is made.

The same headers, so the same states and values: only reads are 32 bytes wide, and digits are put in place by one
instruction.
"""

cdef extern from *:
    """
    #if defined(__x86_64__) && defined(__GNUC__)
    #define SCAN_WIDE 1
    #if defined(__clang__)
    #pragma clang attribute push(__attribute__((target("avx2,bmi,bmi2"))), apply_to = function)
    #else
    #pragma GCC push_options
    #pragma GCC target("avx2,bmi,bmi2")
    #endif
    #include "scan_machine.h"
    #if defined(__clang__)
    #pragma clang attribute pop
    #else
    #pragma GCC pop_options
    #endif
    static const void *subcore_wide_calls(void) {
        __builtin_cpu_init();
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2")
                   ? &SCAN_CALLS : 0;
    }
    #else
    static const void *subcore_wide_calls(void) {
        return 0;
    }
    #endif
    """
    const void* subcore_wide_calls() noexcept


cdef const void* wide_calls() noexcept:
    return subcore_wide_calls()
