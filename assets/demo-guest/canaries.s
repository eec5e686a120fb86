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
.equ CANARY_PRIVILEGED, 0x60   # + place in PRIVATE_PRIVILEGED: rows of msr_canaries, then DR0 to DR3

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
    call load_privileged_canaries
    call build_expected_image
    test dword ptr [PARAMETER_ADDRESS + PARAM_FLAGS], FLAG_AVX
    jz 1f
    call load_ymm
1:  fxrstor64 [r11 + PRIVATE_EXPECTED]
    rdtsc
    shl rdx, 32
    or rax, rdx
    mov [r11 + PRIVATE_TSC], rax
    ret

# Loads the YMM registers; FXRSTOR, which follows, leaves their upper halves alone.
load_ymm:
    xor ecx, ecx
1:  mov edx, ecx
    shl edx, 5
    lea edi, [rcx + CANARY_YMM_LOW]
    call canary
    mov [r11 + rdx + PRIVATE_YMM + 16], r8
    lea edi, [rcx + CANARY_YMM_HIGH]
    call canary
    mov [r11 + rdx + PRIVATE_YMM + 24], r8
    inc ecx
    cmp ecx, 16
    jb 1b
    .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    vmovdqu ymm\n, [r11 + PRIVATE_YMM + 32 * \n]
    .endr
    ret

# ecx = place in PRIVATE_PRIVILEGED → r8 = what belongs there: addresses are canonical ones of the lower half, and
# TSC_AUX is 32 bits wide. Keeps ecx. Clobbers rax, rdx and rdi.
privileged_canary:
    lea edi, [rcx + CANARY_PRIVILEGED]
    call canary
    mov eax, 47
    cmp ecx, MSR_CANARIES
    jae 1f
    mov edx, ecx
    shl edx, 4
    mov eax, [rdx + msr_canaries + 12]
1:  mov edx, ecx
    mov ecx, 64
    sub ecx, eax
    shl r8, cl
    shr r8, cl
    mov ecx, edx
    ret

load_privileged_canaries:
    xor ecx, ecx
1:  call privileged_canary
    mov [r11 + rcx * 8 + PRIVATE_PRIVILEGED], r8
    inc ecx
    cmp ecx, MSR_CANARIES + DR_CANARIES
    jb 1b
    mov eax, SERVICE_LOAD
    int3
    ret

# Checks every canary, reports what is wrong, and loads all of them again if anything was.
check_canaries:
    push 0                     # wrong ones
    fxsave64 [r11 + PRIVATE_ACTUAL]
    call build_expected_image
    call check_fpu
    add [rsp], rax
    call check_privileged
    add [rsp], rax
    call check_tsc
    call check_xmm
    add [rsp], rax
    test dword ptr [PARAMETER_ADDRESS + PARAM_FLAGS], FLAG_AVX
    jz 1f
    call check_xcr0
    add [rsp], rax
    test rax, rax
    jnz 1f
    call check_ymm
    add [rsp], rax
1:  pop rax
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

# Compares the MSRs and debug registers → rax = number of wrong ones.
check_privileged:
    mov eax, SERVICE_READ
    int3
    push 0
    xor ecx, ecx
1:  push rcx
    cmp ecx, MSR_CANARIES
    jae 2f
    mov esi, ecx
    shl esi, 4
    add esi, offset msr_canaries
    call have_msr
    jz 4f
2:  call privileged_canary
    cmp [r11 + rcx * 8 + PRIVATE_PRIVILEGED], r8
    je 4f
    inc qword ptr [rsp + 8]
    sub ecx, MSR_CANARIES
    lea rsi, [rip + name_dr]
    jae 3f
    mov rdx, [rsp]
    shl edx, 4
    mov esi, [rdx + msr_canaries + 8]
    mov ecx, -1
3:  call report_register
4:  pop rcx
    inc ecx
    cmp ecx, MSR_CANARIES + DR_CANARIES
    jb 1b
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
.text
