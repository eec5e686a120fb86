# SPDX-License-Identifier: Apache-2.0
# What a page contains. Filler: the 16 bytes at offset 16*u are (a + u*d, c), with a, c and d mixed from page index and
# seed: no two pages are alike, a page is checked at the speed of memory, and it compresses (zlib: 1.7 to one).

.equ CANARY_DOMAIN, 48   # canaries are mixed from indices with this bit, pages from indices without it

# rdi = index → r8 = the mix of index and seed (the finaliser of splitmix64). Clobbers rax.
.macro mix_index
    movabs r8, 0x9e3779b97f4a7c15
    imul r8, rdi
    add r8, r14
    mov rax, r8
    shr rax, 30
    xor r8, rax
    movabs rax, 0xbf58476d1ce4e5b9
    imul r8, rax
    mov rax, r8
    shr rax, 27
    xor r8, rax
    movabs rax, 0x94d049bb133111eb
    imul r8, rax
    mov rax, r8
    shr rax, 31
    xor r8, rax
.endm

# rdi = block page → r8 = a (the page's key), r9 = c, rdx = d. Clobbers rax.
.macro page_keys
    mix_index
    mov r9, r8
    rol r9, 32
    movabs rax, 0xbf58476d1ce4e5b9
    imul r9, rax
    mov rdx, r8
    rol rdx, 17
    movabs rax, 0x94d049bb133111eb
    imul rdx, rax
    or rdx, 1
.endm

# rdi = block page → rdi = its guest address.
.macro page_address
    cmp rdi, HOLE_FIRST_PAGE
    jb 100f
    add rdi, HOLE_PAGES
100: shl rdi, 12
.endm

# r8 = key → \low, \high = offsets of the two inner stamps.
.macro inner_stamps low, high
    mov \low, r8
    and \low, 63
    shl \low, 4
    add \low, STAMP_LOW_BASE
    mov \high, r8
    shr \high, 2
    and \high, 63 << 4
    add \high, STAMP_HIGH_BASE
.endm

# Writes the filler of block page rdi.
fill_page:
    page_keys
    page_address
    lea rcx, [rdi + PAGE_SIZE]
1:  mov [rdi], r8
    mov [rdi + 8], r9
    add r8, rdx
    add rdi, 16
    cmp rdi, rcx
    jb 1b
    ret

# Writes the stamps (rdi, rsi) of block page rdi.
stamp_page:
    mix_index
    inner_stamps rcx, rdx
    mov rax, rdi
    page_address
    mov [rdi], rax
    mov [rdi + 8], rsi
    mov [rdi + rcx], rax
    mov [rdi + rcx + 8], rsi
    mov [rdi + rdx], rax
    mov [rdi + rdx + 8], rsi
    mov [rdi + STAMP_LAST], rax
    mov [rdi + STAMP_LAST + 8], rsi
    ret

# rdi = page address, rcx < rsi = offsets of a span of filler, r8, r9, rdx = keys → rax = 0 when the span is right.
# Clobbers rcx and rsi.
check_span:
    push rdi
    push r8
    mov eax, ecx
    shr eax, 4
    imul rax, rdx
    add r8, rax
    add rsi, rdi
    add rdi, rcx
    xor eax, eax
1:  mov rcx, [rdi]
    xor rcx, r8
    or rax, rcx
    mov rcx, [rdi + 8]
    xor rcx, r9
    or rax, rcx
    add r8, rdx
    add rdi, 16
    cmp rdi, rsi
    jb 1b
    pop r8
    pop rdi
    ret

# rdi = block page → rax = 0 when all of it is filler.
check_filler_page:
    page_keys
    page_address
    xor ecx, ecx
    mov esi, PAGE_SIZE
    jmp check_span

# rdi = block page → rax = 0 when all of it is zero.
check_zero_page:
    page_address
    lea rcx, [rdi + PAGE_SIZE]
    xor eax, eax
1:  or rax, [rdi]
    or rax, [rdi + 8]
    or rax, [rdi + 16]
    or rax, [rdi + 24]
    add rdi, 32
    cmp rdi, rcx
    jb 1b
    ret

# rdi = block page → rax = 0 when its four stamps are (rdi, rsi). Keeps rdi and rsi.
check_stamps:
    push rdi
    mix_index
    inner_stamps rcx, rdx
    mov r8, rdi
    page_address
    mov rax, [rdi]
    xor rax, r8
    mov r9, [rdi + 8]
    xor r9, rsi
    or rax, r9
    mov r9, [rdi + rcx]
    xor r9, r8
    or rax, r9
    mov r9, [rdi + rcx + 8]
    xor r9, rsi
    or rax, r9
    mov r9, [rdi + rdx]
    xor r9, r8
    or rax, r9
    mov r9, [rdi + rdx + 8]
    xor r9, rsi
    or rax, r9
    mov r9, [rdi + STAMP_LAST]
    xor r9, r8
    or rax, r9
    mov r9, [rdi + STAMP_LAST + 8]
    xor r9, rsi
    or rax, r9
    pop rdi
    ret

# rdi = block page, ecx = span (0, 1, 2: the filler between the four stamps) → rax = 0 when it is right. Keeps rdi.
check_filler_span:
    push rdi
    push rcx
    page_keys
    page_address
    pop rax
    push rbx
    push rdx
    inner_stamps rcx, rbx
    cmp eax, 1
    je 1f
    ja 2f
    mov rsi, rcx
    mov ecx, STAMP_SIZE
    jmp 3f
1:  add rcx, STAMP_SIZE
    mov rsi, rbx
    jmp 3f
2:  lea rcx, [rbx + STAMP_SIZE]
    mov esi, STAMP_LAST
3:  pop rdx
    pop rbx
    call check_span
    pop rdi
    ret

# rdi = block page → rax = 0 when its stamps are (rdi, rsi) and all of its filler is right. Keeps rdi and rsi.
check_stamped_page:
    push rsi
    call check_stamps
    test rax, rax
    jnz 1f
    xor ecx, ecx
    call check_filler_span
    test rax, rax
    jnz 1f
    mov ecx, 1
    call check_filler_span
    test rax, rax
    jnz 1f
    mov ecx, 2
    call check_filler_span
1:  pop rsi
    ret
