# SPDX-License-Identifier: Apache-2.0
# Canaries: values in registers that nothing here uses, set once and checked at every tick. Each value is mixed from the
# seed, the vCPU and the canary's number.

.equ CANARY_XMM_LOW, 0x00      # + register
.equ CANARY_XMM_HIGH, 0x10
.equ CANARY_YMM_LOW, 0x20      # low and high half of the upper 128 bits
.equ CANARY_YMM_HIGH, 0x30
.equ CANARY_ST, 0x40           # + register
.equ CANARY_ST_EXPONENT, 0x48
.equ CANARY_FCW, 0x50
.equ CANARY_MXCSR, 0x51
.equ CANARY_MSR, 0x60          # + row of msr_canaries
.equ CANARY_DR, 0x70           # + register
.equ MSR_CANARIES, 5           # rows of msr_canaries

# Offsets in an FXSAVE image.
.equ FX_FCW, 0
.equ FX_FSW, 2
.equ FX_FTW, 4
.equ FX_MXCSR, 24
.equ FX_ST, 32                 # 16 bytes each, 10 of them the register
.equ FX_XMM, 160               # 16 bytes each

.equ ST_REGISTERS, 5
.equ FSW_FIVE_ON_STACK, 3 << 11
.equ FTW_FIVE_ON_STACK, 0xf8
.equ XCR0_AVX_STATE, 7         # x87, SSE and AVX

# rdi = canary number → r8. Clobbers rax; keeps rdi.
canary:
    push rdi
    mov rax, r15
    shl rax, 16
    or rdi, rax
    bts rdi, CANARY_DOMAIN
    mix_index
    pop rdi
    ret

# Like canary; the value is a canonical address of the lower half.
canary_address:
    call canary
    shl r8, 17
    shr r8, 17
    ret

# Builds the FXSAVE image of the x87, MXCSR and XMM canaries at PRIVATE_EXPECTED.
build_expected_image:
    lea rdi, [r11 + PRIVATE_EXPECTED]
    xor eax, eax
    mov ecx, 512 / 8
    rep stosq

    # All exceptions masked; double or extended precision, any rounding but the usual one.
    mov edi, CANARY_FCW
    call canary
    mov eax, r8d
    shr eax, 8
    xor edx, edx
    mov ecx, 3
    div ecx
    inc edx
    shl edx, 10
    and r8d, 0x100
    lea eax, [rdx + r8 + 0x27f]
    mov [r11 + PRIVATE_EXPECTED + FX_FCW], ax
    mov word ptr [r11 + PRIVATE_EXPECTED + FX_FSW], FSW_FIVE_ON_STACK
    mov byte ptr [r11 + PRIVATE_EXPECTED + FX_FTW], FTW_FIVE_ON_STACK

    # All exceptions masked, flush to zero, any rounding, any sticky flags.
    mov edi, CANARY_MXCSR
    call canary
    and r8d, 0x603f
    or r8d, 0x9f80
    mov [r11 + PRIVATE_EXPECTED + FX_MXCSR], r8d

    xor ecx, ecx
1:  lea edi, [rcx + CANARY_ST]
    call canary
    bts r8, 63                 # a normal number
    lea edx, [rcx + rcx]
    mov [r11 + rdx * 8 + PRIVATE_EXPECTED + FX_ST], r8
    lea edi, [rcx + CANARY_ST_EXPONENT]
    call canary
    and r8d, 0x80ff            # sign and the low bits of an exponent near one
    or r8d, 0x3f00
    mov [r11 + rdx * 8 + PRIVATE_EXPECTED + FX_ST + 8], r8w
    inc ecx
    cmp ecx, ST_REGISTERS
    jb 1b

    xor ecx, ecx
2:  lea edx, [rcx + rcx]
    lea edi, [rcx + CANARY_XMM_LOW]
    call canary
    mov [r11 + rdx * 8 + PRIVATE_EXPECTED + FX_XMM], r8
    lea edi, [rcx + CANARY_XMM_HIGH]
    call canary
    mov [r11 + rdx * 8 + PRIVATE_EXPECTED + FX_XMM + 8], r8
    inc ecx
    cmp ecx, 16
    jb 2b
    ret

load_canaries:
    call build_expected_image
    test dword ptr [PARAMETER_ADDRESS + PARAM_FLAGS], FLAG_AVX
    jz 1f
    call load_ymm
1:  fxrstor64 [r11 + PRIVATE_EXPECTED]
    call load_msrs
    call load_debug_registers
    rdtsc
    shl rdx, 32
    or rax, rdx
    mov [r11 + PRIVATE_TSC], rax
    ret

# Loads the YMM registers; FXRSTOR, which follows, leaves their upper halves alone.
load_ymm:
    xor ecx, ecx
    xgetbv
    mov esi, eax
    and esi, XCR0_AVX_STATE
    cmp esi, XCR0_AVX_STATE
    je 1f
    or eax, XCR0_AVX_STATE
    xsetbv
1:  xor ecx, ecx
2:  mov edx, ecx
    shl edx, 5
    lea edi, [rcx + CANARY_YMM_LOW]
    call canary
    mov [r11 + rdx + PRIVATE_YMM + 16], r8
    lea edi, [rcx + CANARY_YMM_HIGH]
    call canary
    mov [r11 + rdx + PRIVATE_YMM + 24], r8
    inc ecx
    cmp ecx, 16
    jb 2b
    .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    vmovdqu ymm\n, [r11 + PRIVATE_YMM + 32 * \n]
    .endr
    ret

# ecx = row → rdx = row of msr_canaries, r8 = value; zero flag set when this CPU does not have it.
msr_canary:
    lea edi, [rcx + CANARY_MSR]
    call canary_address
    lea rdx, [rip + msr_canaries]
    mov rax, rcx
    shl rax, 4
    add rdx, rax
    mov eax, [rdx + 4]
    test eax, eax
    jz 1f
    mov r8d, r8d               # TSC_AUX is 32 bits wide
    test eax, [PARAMETER_ADDRESS + PARAM_FLAGS]
    ret
1:  or al, 1
    ret

load_msrs:
    xor ecx, ecx
1:  push rcx
    call msr_canary
    jz 2f
    mov ecx, [rdx]
    mov eax, r8d
    mov rdx, r8
    shr rdx, 32
    wrmsr
2:  pop rcx
    inc ecx
    cmp ecx, MSR_CANARIES
    jb 1b
    ret

load_debug_registers:
    .irp n, 0, 1, 2, 3
    mov edi, CANARY_DR + \n
    call canary_address
    mov dr\n, r8
    .endr
    ret

# Checks every canary, reports what is wrong, and loads all of them again if anything was.
check_canaries:
    push 0                     # wrong ones
    fxsave64 [r11 + PRIVATE_ACTUAL]
    test dword ptr [PARAMETER_ADDRESS + PARAM_FLAGS], FLAG_AVX
    jz 1f
    call check_xcr0
    add [rsp], rax
    test rax, rax
    jnz 1f
    call check_ymm
    add [rsp], rax
1:  call build_expected_image
    call check_fpu
    add [rsp], rax
    call check_xmm
    add [rsp], rax
    call check_msrs
    add [rsp], rax
    call check_debug_registers
    add [rsp], rax
    call check_tsc
    pop rax
    test rax, rax
    jnz load_canaries
    ret

# → rax = 0 when the AVX state is enabled.
check_xcr0:
    xor ecx, ecx
    xgetbv
    not eax
    and eax, XCR0_AVX_STATE
    jz 1f
    lea rsi, [rip + name_xcr0]
    mov ecx, -1
    call report_register
    mov eax, 1
1:  ret

# → rax = number of wrong upper halves.
check_ymm:
    .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    vmovdqu [r11 + PRIVATE_YMM + 32 * \n], ymm\n
    .endr
    push 0
    xor ecx, ecx
1:  mov edx, ecx
    shl edx, 5
    lea edi, [rcx + CANARY_YMM_LOW]
    call canary
    cmp [r11 + rdx + PRIVATE_YMM + 16], r8
    jne 2f
    lea edi, [rcx + CANARY_YMM_HIGH]
    call canary
    cmp [r11 + rdx + PRIVATE_YMM + 24], r8
    je 3f
2:  inc qword ptr [rsp]
    push rcx
    lea rsi, [rip + name_ymm]
    call report_register
    pop rcx
3:  inc ecx
    cmp ecx, 16
    jb 1b
    pop rax
    ret

# Compares control word, status, tags, ST registers and MXCSR of the two images → rax = number of wrong groups.
check_fpu:
    push 0
    mov eax, [r11 + PRIVATE_EXPECTED + FX_FCW]
    cmp eax, [r11 + PRIVATE_ACTUAL + FX_FCW]
    jne 2f
    mov al, [r11 + PRIVATE_EXPECTED + FX_FTW]
    cmp al, [r11 + PRIVATE_ACTUAL + FX_FTW]
    jne 2f
    xor ecx, ecx
1:  mov rax, [r11 + rcx + PRIVATE_EXPECTED + FX_ST]
    cmp rax, [r11 + rcx + PRIVATE_ACTUAL + FX_ST]
    jne 2f
    mov ax, [r11 + rcx + PRIVATE_EXPECTED + FX_ST + 8]
    cmp ax, [r11 + rcx + PRIVATE_ACTUAL + FX_ST + 8]
    jne 2f
    add ecx, 16
    cmp ecx, 16 * ST_REGISTERS
    jb 1b
    jmp 3f
2:  inc qword ptr [rsp]
    lea rsi, [rip + name_fpu]
    mov ecx, -1
    call report_register
3:  mov eax, [r11 + PRIVATE_EXPECTED + FX_MXCSR]
    cmp eax, [r11 + PRIVATE_ACTUAL + FX_MXCSR]
    je 4f
    inc qword ptr [rsp]
    lea rsi, [rip + name_mxcsr]
    mov ecx, -1
    call report_register
4:  pop rax
    ret

check_xmm:
    push 0
    xor ecx, ecx
1:  lea edx, [rcx + rcx]
    mov rax, [r11 + rdx * 8 + PRIVATE_EXPECTED + FX_XMM]
    cmp rax, [r11 + rdx * 8 + PRIVATE_ACTUAL + FX_XMM]
    jne 2f
    mov rax, [r11 + rdx * 8 + PRIVATE_EXPECTED + FX_XMM + 8]
    cmp rax, [r11 + rdx * 8 + PRIVATE_ACTUAL + FX_XMM + 8]
    je 3f
2:  inc qword ptr [rsp]
    push rcx
    lea rsi, [rip + name_xmm]
    call report_register
    pop rcx
3:  inc ecx
    cmp ecx, 16
    jb 1b
    pop rax
    ret

check_msrs:
    push 0
    xor ecx, ecx
1:  push rcx
    call msr_canary
    jz 2f
    mov rdi, rdx
    mov ecx, [rdi]
    rdmsr
    shl rdx, 32
    or rax, rdx
    cmp rax, r8
    je 2f
    inc qword ptr [rsp + 8]
    mov esi, [rdi + 8]
    mov ecx, -1
    call report_register
2:  pop rcx
    inc ecx
    cmp ecx, MSR_CANARIES
    jb 1b
    pop rax
    ret

check_debug_registers:
    push 0
    .irp n, 0, 1, 2, 3
    mov edi, CANARY_DR + \n
    call canary_address
    mov rax, dr\n
    cmp rax, r8
    je 1f
    inc qword ptr [rsp]
    lea rsi, [rip + name_dr]
    mov ecx, \n
    call report_register
1:
    .endr
    pop rax
    ret

check_tsc:
    rdtsc
    shl rdx, 32
    or rax, rdx
    mov rcx, [r11 + PRIVATE_TSC]
    mov [r11 + PRIVATE_TSC], rax
    test dword ptr [PARAMETER_ADDRESS + PARAM_FLAGS], FLAG_TSC
    jz 1f
    cmp rax, rcx
    jae 1f
    lea rsi, [rip + name_tsc]
    mov ecx, -1
    call report_register
1:  ret

.section .rodata
name_fpu:          .asciz "fpu"
name_mxcsr:        .asciz "mxcsr"
name_xmm:          .asciz "xmm"
name_ymm:          .asciz "ymm"
name_xcr0:         .asciz "xcr0"
name_dr:           .asciz "dr"
name_tsc:          .asciz "tsc"
name_fsbase:       .asciz "fsbase"
name_gsbase:       .asciz "gsbase"
name_kernelgsbase: .asciz "kernelgsbase"
name_lstar:        .asciz "lstar"
name_tsc_aux:      .asciz "tsc_aux"
.balign 16
# MSR, flag that must be set (0: always there), name.
msr_canaries:
    .long 0xc0000100, 0, name_fsbase, 0
    .long 0xc0000101, 0, name_gsbase, 0
    .long 0xc0000102, 0, name_kernelgsbase, 0
    .long 0xc0000082, 0, name_lstar, 0
    .long 0xc0000103, FLAG_RDTSCP, name_tsc_aux, 0
.text
