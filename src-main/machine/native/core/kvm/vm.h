// SPDX-License-Identifier: Apache-2.0
// A virtual machine: memory slots, vCPUs, serial port, and the rules of starting and stopping them together.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "core/base/result.h"
#include "core/base/unique_fd.h"
#include "core/base/worker.h"
#include "core/kvm/dirty_ring.h"
#include "core/kvm/serial_output.h"
#include "core/kvm/serial_port.h"
#include "core/kvm/vcpu.h"
#include "core/kvm/vm_handle.h"

namespace godwit {

inline constexpr unsigned kMaxVcpus = 16;

struct VmOptions {
  std::shared_ptr<GuestMemory> memory;
  std::vector<MemorySlot> slots;
  unsigned vcpus = 1;
  std::vector<kvm_cpuid_entry2> cpuid;
  UniqueFd serial;  // may be invalid: serial output is kept in the tail only
  std::uint64_t pace_interval_ns = 0;
  std::uint32_t dirty_ring_size = 0;  // entries of each vCPU's ring; 0: dirty pages are tracked by the dirty log
  /// Called on a thread of the machine once every vCPU is stopped; must not call back into the machine.
  std::function<void(VcpuCrash)> on_crash;
};

/// Methods may be called from any thread but the machine's own. Completions run on threads of the machine; they must
/// neither call back into it nor hold the last reference to it.
class Vm {
 public:
  template <typename T>
  using Completion = std::function<void(Result<T>)>;

  static Result<std::shared_ptr<Vm>> create(VmOptions options);
  Vm(const Vm&) = delete;
  Vm& operator=(const Vm&) = delete;
  ~Vm();

  unsigned vcpus() const { return static_cast<unsigned>(vcpus_.size()); }

  /// Lets every vCPU run; nothing happens when they do. Never blocks.
  Status start();
  /// Asks every vCPU to stop at once; completes with milliseconds when all are parked with no instruction half done.
  void stop(Completion<double> done);
  void get_state(unsigned vcpu, std::vector<std::uint32_t> msr_indices, Completion<VcpuState> done);
  void set_state(unsigned vcpu, VcpuState state, Completion<std::vector<std::uint32_t>> done);
  /// close() on a thread of the machine.
  void close_async(Completion<Unit> done);
  /// Stops and joins the vCPU threads and the serial thread. Idempotent; returns when it is done, by whomever.
  void close();

  /// Any time.
  std::vector<Heartbeats> heartbeats() const;
  std::vector<pid_t> thread_ids() const;
  SerialPort& serial() { return serial_; }
  SerialOutput& serial_output() { return serial_output_; }
  /// Lives on its own: keeps KVM's descriptors and the memory, not the threads.
  std::shared_ptr<DirtyTracker> tracker() const { return tracker_; }
  /// By vCPU; empty when dirty pages are tracked by the dirty log.
  std::vector<RingCounts> ring_counts() const;

 private:
  enum class State { kStopped, kRunning, kStopping, kClosed };

  Vm(std::shared_ptr<VmHandle> handle, std::shared_ptr<DirtyRing> ring, VmOptions& options);
  Status create_vcpus(const KvmSystem& system, const VmOptions& options);
  Status add_rings();
  void begin_stop();
  void finish_stop();
  void handle_crash(const VcpuCrash& crash);
  Status check_parked(unsigned vcpu) const;

  const std::shared_ptr<VmHandle> handle_;
  const std::shared_ptr<DirtyRing> ring_;  // may be null
  const std::shared_ptr<DirtyTracker> tracker_;
  const std::function<void(VcpuCrash)> on_crash_;
  SerialOutput serial_output_;
  SerialPort serial_;
  std::vector<std::shared_ptr<Vcpu>> vcpus_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  State state_ = State::kStopped;
  bool close_begun_ = false;
  bool crash_reported_ = false;

  std::unique_ptr<Worker> control_;  // last: its jobs use all others
};

}  // namespace godwit
