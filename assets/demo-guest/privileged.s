# SPDX-License-Identifier: Apache-2.0
# All that runs at CPL 0: the start, and the service trap. MSRs and debug registers travel through PRIVATE_PRIVILEGED.

.equ SERVICE_READ, 0
.equ SERVICE_LOAD, 1
.equ XCR0_AVX_STATE, 7         # x87, SSE and AVX
.equ MSR_CANARIES, 5           # rows of msr_canaries
.equ DR_CANARIES, 4
# Interrupts off, IOPL 3. The I/O bitmap allows the same ports again: software page-table KVMs drop IOPL, and QEMU's
# emulated SVM ignores the bitmap of a busy task.
.equ RFLAGS_AT_CPL3, 0x3002
.equ PRIVATE_DR, PRIVATE_PRIVILEGED + 8 * MSR_CANARIES

# int3 with eax = SERVICE_*, r11 = private page. Clobbers rax, rcx, rdx, rsi and rdi.
service:
    lea rsi, [rip + msr_canaries]
    lea rdi, [r11 + PRIVATE_PRIVILEGED]
    test eax, eax
    jnz load_privileged

# Reads every canary that this CPU has.
read_privileged:
1:  call have_msr
    jz 2f
    mov ecx, [rsi]
    rdmsr
    mov [rdi], eax
    mov [rdi + 4], edx
2:  call next_msr
    jb 1b
    .irp n, 0, 1, 2, 3
    mov rax, dr\n
    mov [r11 + PRIVATE_DR + 8 * \n], rax
    .endr
    iretq

# Writes every canary that this CPU has, and enables the AVX state.
load_privileged:
1:  call have_msr
    jz 2f
    mov ecx, [rsi]
    mov eax, [rdi]
    mov edx, [rdi + 4]
    wrmsr
2:  call next_msr
    jb 1b
    .irp n, 0, 1, 2, 3
    mov rax, [r11 + PRIVATE_DR + 8 * \n]
    mov dr\n, rax
    .endr
    call enable_avx_state
    iretq

# rsi = row of msr_canaries → zero flag set when this CPU does not have the MSR.
have_msr:
    mov eax, [rsi + 4]
    test eax, eax
    jz 1f
    test eax, [PARAMETER_ADDRESS + PARAM_FLAGS]
    ret
1:  or al, 1
    ret

# Steps rsi and rdi → carry set while rdi is in the MSRs' part.
next_msr:
    add rsi, 16
    add rdi, 8
    lea rax, [r11 + PRIVATE_DR]
    cmp rdi, rax
    ret

enable_avx_state:
    test dword ptr [PARAMETER_ADDRESS + PARAM_FLAGS], FLAG_AVX
    jz 1f
    xor ecx, ecx
    xgetbv
    mov edi, eax
    or eax, XCR0_AVX_STATE
    cmp eax, edi
    je 1f
    xsetbv
1:  ret

start:
    cld
    mov r15, rdi
    mov r14, [rsi + PARAM_SEED]
    mov rax, r15
    imul rax, rax, VCPU_RECORD_SIZE
    mov r12, [rsi + rax + PARAM_VCPU_TABLE + VCPU_SLICE_FIRST]
    mov r13, [rsi + rax + PARAM_VCPU_TABLE + VCPU_SLICE_LENGTH]
    mov r11, r15
    shl r11, 12
    add r11, [rsi + PARAM_PRIVATE_ADDRESS]
    xor ebx, ebx
    xor ebp, ebp
    xor r10d, r10d
    lgdt [rip + gdt_pointer]
    lidt [rip + idt_pointer]
    mov eax, r15d
    shl eax, 4
    add eax, SELECTOR_FIRST_TSS
    ltr ax
    mov eax, SELECTOR_USER_DATA
    mov ds, eax
    mov es, eax
    mov fs, eax
    mov gs, eax
    call enable_avx_state
    mov rcx, rsp
    lea rdx, [rip + run]
    push SELECTOR_USER_DATA
    push rcx
    push RFLAGS_AT_CPL3
    push SELECTOR_USER_CODE
    push rdx
    iretq

.section .rodata
gdt_pointer:
    .word GDT_LIMIT
    .quad DESCRIPTOR_ADDRESS + GDT_OFFSET
idt_pointer:
    .word IDT_LIMIT
    .quad DESCRIPTOR_ADDRESS + IDT_OFFSET
.balign 16
# MSR, flag that must be set (0: always there), name, width of the value in bits.
msr_canaries:
    .long 0xc0000100, 0, name_fsbase, 47
    .long 0xc0000101, 0, name_gsbase, 47
    .long 0xc0000102, 0, name_kernelgsbase, 47
    .long 0xc0000082, 0, name_lstar, 47
    .long 0xc0000103, FLAG_RDTSCP, name_tsc_aux, 32
name_fsbase:       .asciz "fsbase"
name_gsbase:       .asciz "gsbase"
name_kernelgsbase: .asciz "kernelgsbase"
name_lstar:        .asciz "lstar"
name_tsc_aux:      .asciz "tsc_aux"
.text
