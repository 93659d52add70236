/* data/o200k_base.tiktoken as it is, between two symbols. Its directory is given by the build. */
#ifdef __APPLE__
#define SYMBOL(name) _##name
    .const
#else
#define SYMBOL(name) name
    .section .rodata
#endif
    .globl SYMBOL(gossamer_o200k_base_begin)
    .globl SYMBOL(gossamer_o200k_base_end)
    .balign 8
SYMBOL(gossamer_o200k_base_begin):
    .incbin "o200k_base.tiktoken"
SYMBOL(gossamer_o200k_base_end):
    .byte 0
#ifdef __ELF__
    .section .note.GNU-stack, "", %progbits
#endif
