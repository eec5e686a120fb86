// SPDX-License-Identifier: Apache-2.0
#include "core/memory/huge_pages.h"

#include <cerrno>

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25  // Linux 6.1, asm-generic/mman-common.h
#endif

namespace godwit {

Mapping map_aligned(std::uint64_t length, int flags, int fd) {
  // A reservation that surely holds an aligned range; what lies before and behind it is given back.
  const std::uint64_t reserved = length + kTransparentHugePage;
  void* const reservation = ::mmap(nullptr, reserved, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (reservation == MAP_FAILED) return {};
  auto* const begin = static_cast<std::uint8_t*>(reservation);
  const auto address = reinterpret_cast<std::uintptr_t>(reservation);
  const std::uint64_t before = (kTransparentHugePage - address % kTransparentHugePage) % kTransparentHugePage;
  std::uint8_t* const aligned = begin + before;
  void* const mapped = ::mmap(aligned, length, PROT_READ | PROT_WRITE, flags | MAP_FIXED, fd, 0);
  if (mapped == MAP_FAILED) {
    const int code = errno;
    ::munmap(reservation, reserved);
    errno = code;
    return {};
  }
  const std::uint64_t end = (before + length + 4095) / 4096 * 4096;
  if (before > 0) ::munmap(begin, before);
  if (end < reserved) ::munmap(begin + end, reserved - end);
  return Mapping(mapped, length);
}

bool collapse(std::uint8_t* piece) {
  // The kernel takes a range without any page for a hole that was punched, and leaves it alone. Adding nothing keeps a
  // byte that a vCPU writes meanwhile.
  __atomic_fetch_or(piece, std::uint8_t{0}, __ATOMIC_RELAXED);
  return ::madvise(piece, kTransparentHugePage, MADV_COLLAPSE) == 0;
}

}  // namespace godwit
