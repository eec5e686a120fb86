// SPDX-License-Identifier: Apache-2.0
// A small machine for the tests: guest memory with page tables, a hand-assembled payload, and vCPUs that start it in
// long mode with flat segments and identity-mapped paging.
#pragma once

#include <doctest/doctest.h>
#include <poll.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <future>
#include <initializer_list>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "core/kvm/kvm_system.h"
#include "core/kvm/vm.h"
#include "core/memory/guest_memory.h"

namespace godwit::test {

inline constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;
inline constexpr std::uint64_t kGiB = std::uint64_t{1} << 30;
inline constexpr std::uint64_t kTables = 0x1000;   // page tables
inline constexpr std::uint64_t kCode = 0x10000;    // payload
inline constexpr std::uint64_t kData = 0x20000;    // what payloads write and read
inline constexpr std::uint64_t kHighHalf = 4 * kGiB;

using Payload = std::initializer_list<std::uint8_t>;
/// inc rbx; mov [rdi], rbx; jmp
inline constexpr Payload kCount = {0x48, 0xff, 0xc3, 0x48, 0x89, 0x1f, 0xeb, 0xf8};
/// inc rbx; mov eax, ebx; out dx, al; mov [rdi], rbx; jmp
inline constexpr Payload kCountAloud = {0x48, 0xff, 0xc3, 0x89, 0xd8, 0xee, 0x48, 0x89, 0x1f, 0xeb, 0xf5};
/// inc rbx; mov [rdi], rbx; mov eax, ebx; out dx, eax; jmp
inline constexpr Payload kPaced = {0x48, 0xff, 0xc3, 0x48, 0x89, 0x1f, 0x89, 0xd8, 0xef, 0xeb, 0xf5};

inline void put64(GuestMemory& memory, std::uint64_t offset, std::uint64_t value) {
  std::memcpy(memory.data() + offset, &value, sizeof value);
}
inline std::uint64_t get64(const GuestMemory& memory, std::uint64_t offset) {
  std::uint64_t value;
  std::memcpy(&value, memory.data() + offset, sizeof value);
  return value;
}

/// Sanitizers slow threads down: what is measured under them says nothing.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kTimingCounts = false;
#else
inline constexpr bool kTimingCounts = true;
#endif

/// Maps the first GiB and the GiB at 4 GiB, one to one, in pages of 2 MiB. Accessed and dirty bits are set already, so
/// that page walks write nothing; the user bit is set, so that it also runs on a KVM that runs guests in user mode.
inline void write_page_tables(GuestMemory& memory) {
  constexpr std::uint64_t kTable = 0x27;  // present, writable, user, accessed
  constexpr std::uint64_t kPage = 0xe7;   // and dirty, 2 MiB
  put64(memory, kTables, (kTables + 0x1000) | kTable);
  put64(memory, kTables + 0x1000, (kTables + 0x2000) | kTable);
  put64(memory, kTables + 0x1000 + 4 * 8, (kTables + 0x3000) | kTable);
  for (std::uint64_t n = 0; n < 512; ++n) {
    put64(memory, kTables + 0x2000 + n * 8, n * 2 * kMiB | kPage);
    put64(memory, kTables + 0x3000 + n * 8, (kHighHalf + n * 2 * kMiB) | kPage);
  }
}

/// General registers that a payload starts with.
struct Registers {
  std::uint64_t rax = 0, rbx = 0, rcx = 0, rdx = 0, rsi = 0, rdi = 0, rsp = 0, rip = kCode;
  /// 3: user mode with I/O privilege, which every KVM runs natively, and where HLT faults. 0: some KVMs emulate it.
  std::uint8_t cpl = 3;
};

/// Puts a vCPU's state in long mode with flat segments.
inline void enter_long_mode(VcpuState& state, const Registers& registers) {
  kvm_segment code{};
  code.limit = 0xffffffff;
  code.selector = static_cast<std::uint16_t>(8 | registers.cpl);
  code.type = 11;
  code.dpl = registers.cpl;
  code.present = 1;
  code.s = 1;
  code.l = 1;
  code.g = 1;
  kvm_segment data = code;
  data.selector = static_cast<std::uint16_t>(16 | registers.cpl);
  data.type = 3;
  data.l = 0;
  data.db = 1;
  state.sregs.cs = code;
  state.sregs.ds = state.sregs.es = state.sregs.fs = state.sregs.gs = state.sregs.ss = data;
  state.sregs.cr0 = 0x80050033;
  state.sregs.cr3 = kTables;
  state.sregs.cr4 = 0x620;  // PAE, OSFXSR, OSXMMEXCPT
  state.sregs.efer = 0x500;
  state.sregs.gdt.limit = state.sregs.idt.limit = 0;
  state.regs = {};
  state.regs.rax = registers.rax;
  state.regs.rbx = registers.rbx;
  state.regs.rcx = registers.rcx;
  state.regs.rdx = registers.rdx;
  state.regs.rsi = registers.rsi;
  state.regs.rdi = registers.rdi;
  state.regs.rsp = registers.rsp;
  state.regs.rip = registers.rip;
  state.regs.rflags = registers.cpl == 0 ? 0x2 : 0x3002;  // IOPL 3
}

/// Blocks until the completion is called.
template <typename T>
class Waiter {
 public:
  std::function<void(Result<T>)> completion() {
    return [promise = promise_](Result<T> result) { promise->set_value(std::move(result)); };
  }
  Result<T> wait() { return future_.get(); }

 private:
  std::shared_ptr<std::promise<Result<T>>> promise_ = std::make_shared<std::promise<Result<T>>>();
  std::future<Result<T>> future_ = promise_->get_future();
};

struct Pipe {
  UniqueFd read_end;
  UniqueFd write_end;
  Pipe() {
    int fds[2] = {-1, -1};
    REQUIRE(::pipe(fds) == 0);
    read_end.reset(fds[0]);
    write_end.reset(fds[1]);
  }
  /// Exactly n bytes; fewer when nothing comes for ten seconds.
  std::vector<std::uint8_t> read(std::size_t n) {
    std::vector<std::uint8_t> bytes(n);
    std::size_t done = 0;
    while (done < n) {
      pollfd fd{read_end.get(), POLLIN, 0};
      if (::poll(&fd, 1, 10'000) <= 0) break;
      const ssize_t got = ::read(read_end.get(), bytes.data() + done, n - done);
      if (got <= 0) break;
      done += static_cast<std::size_t>(got);
    }
    bytes.resize(done);
    return bytes;
  }
};

/// Waits for something that another thread brings about.
template <typename Predicate>
bool eventually(Predicate predicate) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!predicate()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
  return true;
}

struct MachineSpec {
  unsigned vcpus = 1;
  std::uint64_t memory = 4 * kMiB;
  std::vector<MemorySlot> slots{};  // empty: one slot at 0
  UniqueFd serial{};
  std::uint64_t pace_interval_ns = 0;
  std::uint32_t dirty_ring_size = 0;
  std::function<void(VcpuCrash)> on_crash{};
  bool anonymous = false;
};

struct Machine {
  std::shared_ptr<GuestMemory> memory;
  std::shared_ptr<Vm> vm;

  explicit Machine(MachineSpec spec = {}) {
    auto created = GuestMemory::create({.name = "test.ram", .size = spec.memory, .anonymous = spec.anonymous});
    REQUIRE(created.ok());
    memory = *created;
    write_page_tables(*memory);
    auto system = KvmSystem::open();
    REQUIRE_MESSAGE(system.ok(), "these tests need /dev/kvm");
    auto cpuid = system->supported_cpuid();
    REQUIRE(cpuid.ok());
    VmOptions options;
    options.memory = memory;
    options.slots = spec.slots.empty() ? std::vector<MemorySlot>{{0, 0, spec.memory}} : spec.slots;
    options.vcpus = spec.vcpus;
    options.cpuid = *cpuid;
    options.serial = std::move(spec.serial);
    options.pace_interval_ns = spec.pace_interval_ns;
    options.dirty_ring_size = spec.dirty_ring_size;
    options.on_crash = spec.on_crash ? std::move(spec.on_crash) : [](const VcpuCrash& crash) {
      FAIL_CHECK("vCPU " << crash.vcpu << " crashed: " << crash.reason << ", " << crash.detail);
    };
    auto machine = Vm::create(std::move(options));
    if (!machine) FAIL(machine.failure().message);
    vm = *machine;
  }

  void load(Payload payload) {
    std::memcpy(memory->data() + kCode, payload.begin(), payload.size());
  }
  VcpuState state(unsigned vcpu = 0, std::vector<std::uint32_t> msrs = {}) {
    Waiter<VcpuState> waiter;
    vm->get_state(vcpu, std::move(msrs), waiter.completion());
    auto result = waiter.wait();
    if (!result) FAIL(result.failure().message);
    return *result;
  }
  std::vector<std::uint32_t> set_state(const VcpuState& state, unsigned vcpu = 0) {
    Waiter<std::vector<std::uint32_t>> waiter;
    vm->set_state(vcpu, state, waiter.completion());
    auto result = waiter.wait();
    if (!result) FAIL(result.failure().message);
    return *result;
  }
  void prepare(const Registers& regs, unsigned vcpu = 0) {
    VcpuState now = state(vcpu);
    enter_long_mode(now, regs);
    set_state(now, vcpu);
  }
  void start() { REQUIRE(vm->start().ok()); }
  double stop() {
    Waiter<double> waiter;
    vm->stop(waiter.completion());
    return *waiter.wait();
  }
};

}  // namespace godwit::test
