/* The files of data/demo as they are, each between two symbols. Their directory is given by the build. */
#ifdef __APPLE__
#define SYMBOL(name) _##name
    .const
#else
#define SYMBOL(name) name
    .section .rodata
#endif

#define FILE(name, path)                                           \
    .globl SYMBOL(name##_begin); .globl SYMBOL(name##_end);        \
    .balign 64; SYMBOL(name##_begin): .incbin path;                \
    SYMBOL(name##_end): .byte 0

FILE(gossamer_demo_config, "config.json")
FILE(gossamer_demo_tokenizer, "tokenizer.json")
FILE(gossamer_demo_weights, "model.safetensors")
#ifdef __ELF__
    .section .note.GNU-stack, "", %progbits
#endif
