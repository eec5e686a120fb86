// SPDX-License-Identifier: Apache-2.0
// What every dirty tracker promises, as test bodies for each of them.
#pragma once

#include <algorithm>
#include <random>
#include <set>

#include "core/kvm/ports.h"
#include "test_machine.h"

namespace godwit::test {

/// Two slots with a hole between them; the second one starts at 4 GiB and ends in the middle of a word of the bitmap.
struct Tracked : Machine {
  static constexpr std::uint64_t kLow = 4 * kMiB;
  static constexpr std::uint64_t kHigh = 2 * kMiB + 3 * kPageSize;
  /// Tables, code and data lie below. A KVM may report a page that the guest only reads when it maps it writable at
  /// once, so those pages do not count.
  static constexpr std::uint64_t kFirst = 0x80000 / kPageSize;

  explicit Tracked(std::uint32_t ring_size)
      : Machine({.memory = kLow + kHigh,
                 .slots = {{0, 0, kLow}, {kHighHalf, kLow, kHigh}},
                 .dirty_ring_size = ring_size}) {
    // next: mov rdi, [rsi]; mov [rdi], rbx; add rsi, 8; dec rcx; jnz next; out dx, al; jmp $
    load({0x48, 0x8b, 0x3e, 0x48, 0x89, 0x1f, 0x48, 0x83, 0xc6, 0x08, 0x48, 0xff, 0xc9, 0x75, 0xf1, 0xee, 0xeb, 0xfe});
  }

  std::uint64_t last() const { return memory->pages() - 1; }

  /// Has the guest write one word into each of these pages of the block. It runs on, without writing.
  void begin_writing(const std::vector<std::uint64_t>& pages) {
    for (std::size_t n = 0; n < pages.size(); ++n) {
      const std::uint64_t offset = pages[n] * kPageSize;
      put64(*memory, kData + n * 8, offset < kLow ? offset : kHighHalf + offset - kLow);
    }
    const std::size_t before = vm->serial_output().tail().size();
    VcpuState now = state();
    now.mp_state = KVM_MP_STATE_RUNNABLE;
    enter_long_mode(now, {.rbx = 7, .rcx = pages.size(), .rdx = kSerialPort, .rsi = kData});
    set_state(now);
    start();
    REQUIRE(eventually([&] { return vm->serial_output().tail().size() == before + 1; }));
  }
  void write_pages(const std::vector<std::uint64_t>& pages) {
    begin_writing(pages);
    stop();
  }

  /// Without the pages below kFirst.
  std::set<std::uint64_t> collect() {
    std::vector<std::uint64_t> bitmap((memory->pages() + 63) / 64);
    const Status status = vm->tracker()->collect(bitmap);
    if (!status) FAIL(status.failure().message);
    std::set<std::uint64_t> pages;
    for (std::uint64_t page = kFirst; page < bitmap.size() * 64; ++page) {
      if ((bitmap[page / 64] >> page % 64 & 1) != 0) pages.insert(page);
    }
    return pages;
  }

  /// `most` page numbers or fewer, with repetitions.
  std::vector<std::uint64_t> random_pages(std::mt19937_64& random, std::uint64_t most) const {
    std::vector<std::uint64_t> pages;
    for (std::uint64_t n = 0; n < 1 + random() % most; ++n) pages.push_back(kFirst + random() % (last() - kFirst + 1));
    return pages;
  }
};

/// vCPUs that never cease to write, each to 256 pages of its own from 1 MiB on, and a copy of their memory.
struct Writers : Machine {
  static constexpr std::uint64_t kPagesEach = 256;

  Writers(std::uint32_t ring_size, unsigned vcpus)
      : Machine({.vcpus = vcpus, .memory = (1 + vcpus) * kMiB, .dirty_ring_size = ring_size}) {
    // inc rbx; mov rdi, rbx; and edi, 0xff; shl edi, 12; add rdi, rsi; mov [rdi], rbx; jmp
    load({0x48, 0xff, 0xc3, 0x48, 0x89, 0xdf, 0x81, 0xe7, 0xff, 0x00, 0x00, 0x00, 0xc1, 0xe7, 0x0c, 0x48, 0x01, 0xf7,
          0x48, 0x89, 0x1f, 0xeb, 0xe9});
    for (unsigned vcpu = 0; vcpu < vcpus; ++vcpu) prepare({.rsi = (1 + vcpu) * kMiB}, vcpu);
    begin_copy();
  }

  /// As a migration does: everything once, then what is reported.
  void begin_copy() {
    REQUIRE(vm->tracker()->start().ok());
    copy_.assign(memory->data(), memory->data() + memory->size());
  }
  void copy_dirty() {
    std::vector<std::uint64_t> bitmap((memory->pages() + 63) / 64);
    const Status status = vm->tracker()->collect(bitmap);
    if (!status) FAIL(status.failure().message);
    for (std::uint64_t page = 0; page < memory->pages(); ++page) {
      if ((bitmap[page / 64] >> page % 64 & 1) == 0) continue;
      std::memcpy(copy_.data() + page * kPageSize, memory->data() + page * kPageSize, kPageSize);
    }
  }
  bool copy_is_exact() const { return std::memcmp(copy_.data(), memory->data(), copy_.size()) == 0; }

  /// Words that a vCPU has written so far.
  std::uint64_t written(unsigned vcpu) const {
    std::uint64_t most = 0;
    for (std::uint64_t page = 0; page < kPagesEach; ++page) {
      most = std::max(most, get64(*memory, (1 + vcpu) * kMiB + page * kPageSize));
    }
    return most;
  }

 private:
  std::vector<std::uint8_t> copy_;
};

/// With a guest that stands still, and with one that runs but is done writing: a report holds what was written before.
inline void reports_exactly_what_was_written(std::uint32_t ring_size) {
  const auto seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  Tracked machine(ring_size);
  REQUIRE(machine.vm->tracker()->start().ok());
  for (int round = 0; round < 20; ++round) {
    CAPTURE(round);
    std::vector<std::uint64_t> pages = machine.random_pages(random, 1000);
    if (round % 3 == 0) {
      pages.insert(pages.end(), {machine.last(), Tracked::kLow / kPageSize, Tracked::kLow / kPageSize - 1});
    }
    const std::set<std::uint64_t> expected(pages.begin(), pages.end());
    machine.write_pages(pages);
    CHECK(machine.collect() == expected);
    CHECK(machine.collect().empty());
    // Collected pages are watched again.
    machine.begin_writing(pages);
    CHECK(machine.collect() == expected);
    CHECK(machine.collect().empty());
    machine.stop();
    CHECK(machine.collect().empty());
  }
  CHECK(machine.vm->tracker()->stop().ok());
}

inline void loses_no_page_that_is_written_meanwhile(std::uint32_t ring_size, unsigned vcpus) {
  Writers machine(ring_size, vcpus);
  machine.start();
  for (int round = 0; round < 200; ++round) machine.copy_dirty();
  for (unsigned vcpu = 0; vcpu < vcpus; ++vcpu) {
    REQUIRE(eventually([&] { return machine.written(vcpu) > 1000; }));
  }
  machine.stop();
  machine.copy_dirty();
  CHECK(machine.copy_is_exact());
}

inline void can_be_turned_on_and_off(std::uint32_t ring_size) {
  const auto seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  Tracked machine(ring_size);
  DirtyTracker& tracker = *machine.vm->tracker();
  std::vector<std::uint64_t> bitmap((machine.memory->pages() + 63) / 64);
  CHECK_FALSE(tracker.collect(bitmap).ok());
  CHECK(tracker.stop().ok());
  for (int round = 0; round < 5; ++round) {
    CAPTURE(round);
    REQUIRE(tracker.start().ok());
    REQUIRE(tracker.start().ok());
    const std::vector<std::uint64_t> pages = machine.random_pages(random, 500);
    machine.write_pages(pages);
    if (round % 2 == 0) CHECK(machine.collect() == std::set<std::uint64_t>(pages.begin(), pages.end()));
    std::vector<std::uint64_t> too_short(1);
    CHECK_FALSE(tracker.collect(too_short).ok());
    // Of what is written while tracking is off, or was not collected before, nothing appears later.
    REQUIRE(tracker.stop().ok());
    machine.write_pages(machine.random_pages(random, 500));
  }
}

}  // namespace godwit::test
