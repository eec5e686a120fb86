// SPDX-License-Identifier: Apache-2.0
// One vCPU and its thread. The thread is parked or runs the guest; KVM's state of the vCPU is touched by this thread
// only, and only while it is parked.
#pragma once

#include <linux/kvm.h>
#include <sys/types.h>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "core/base/mapping.h"
#include "core/base/result.h"
#include "core/base/unique_fd.h"
#include "core/kvm/pacer.h"
#include "core/kvm/vcpu_state.h"

namespace godwit {

class SerialPort;

/// Why a vCPU cannot go on.
struct VcpuCrash {
  unsigned vcpu = 0;
  std::string reason;  // name of the KVM exit
  std::string detail;
};

struct VcpuConfig {
  unsigned index = 0;
  int vm_fd = -1;
  std::size_t mmap_size = 0;
  std::size_t xsave_size = 4096;
  bool tsc_control = false;
  std::uint64_t pace_interval_ns = 0;
  SerialPort* serial = nullptr;
  /// KVM_EXIT_DIRTY_RING_FULL: has to make room in this vCPU's ring. Called on the vCPU's thread.
  std::function<Status()> on_ring_full;
  /// Called on the vCPU's thread; must not wait for this vCPU.
  std::function<void(VcpuCrash)> on_crash;
};

class Vcpu {
 public:
  using Job = std::function<void()>;

  /// Creates the vCPU, gives it its CPUID and starts its thread, parked.
  static Result<std::unique_ptr<Vcpu>> create(VcpuConfig config, const std::vector<kvm_cpuid_entry2>& cpuid);
  Vcpu(const Vcpu&) = delete;
  Vcpu& operator=(const Vcpu&) = delete;
  ~Vcpu() { close(); }

  /// These three never block; any thread.
  void start();
  void request_stop();
  /// Runs `job` on the vCPU's thread when it is parked; at once where it is parked now.
  void post(Job job);

  /// Makes the vCPU leave the guest once, if it is there, and go on. Never blocks; any thread but the vCPU's own.
  void request_exit();
  /// Returns when the vCPU has been outside the guest since request_exit().
  void wait_exited();

  /// Returns when the thread is parked and no I/O instruction is half done. Not on the vCPU's own thread.
  void wait_parked();
  /// Stops, runs the jobs that were posted, and joins the thread. One caller at a time; repeated calls are fine.
  void close();

  /// Only in a job.
  Result<VcpuState> read_state(std::span<const std::uint32_t> msr_indices) const;
  /// Only in a job. A crashed vCPU can run again after it succeeded.
  Result<std::vector<std::uint32_t>> write_state(const VcpuState& state);

  /// Any thread, at any time.
  int fd() const { return fd_.get(); }
  bool crashed() const;
  Heartbeats heartbeats() const { return pacer_.snapshot(); }
  pid_t thread_id() const;

 private:
  Vcpu(VcpuConfig config, UniqueFd fd, Mapping run);

  void thread_main();
  void run_until_stopped();
  /// What the vCPU does after an exit was served.
  enum class Next { kGoOn, kIdle, kCrash };
  Next enter();
  void acknowledge_exit();
  Next serve_exit();
  Next serve_io();
  Next serve_full_ring();
  Next fail(std::string reason, std::string detail);
  void finish_io();
  void idle();
  void pace(std::uint32_t low);
  void write_port(std::uint16_t port, const std::uint8_t* data, unsigned size);
  void read_port(std::uint16_t port, std::uint8_t* data, unsigned size);
  std::string instruction_pointer() const;
  bool stop_requested() const;
  void set_immediate_exit(bool value);

  const VcpuConfig config_;
  const UniqueFd fd_;
  const Mapping run_mapping_;
  kvm_run* const run_;
  Pacer pacer_;
  // The vCPU's thread only:
  bool halted_ = false;  // executed HLT: without an irqchip nothing wakes it, also not after a stop and start
  VcpuCrash crash_;

  // Whether the thread is inside KVM_RUN, and whether it shall leave it. Each side writes its own before it reads the
  // other's, so that a request is either seen to be needless or seen by the thread.
  std::atomic<bool> in_guest_{false};
  std::atomic<bool> exit_wanted_{false};

  mutable std::mutex mutex_;
  std::condition_variable wake_;    // the vCPU's thread waits: for a job, a start, a stop
  std::condition_variable parked_;  // others wait: until the thread is parked, or outside the guest
  std::deque<Job> jobs_;
  bool want_run_ = false;  // set by start(), cleared by request_stop() and by a crash
  bool running_ = false;   // between start() and the thread's acknowledgement of a stop
  bool crashed_ = false;
  bool closing_ = false;
  pid_t thread_id_ = 0;
  std::thread thread_;
};

}  // namespace godwit
