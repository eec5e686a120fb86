// SPDX-License-Identifier: Apache-2.0
// Entry of the addon: makes the bridge, then lets each subject add its exports.
#include <napi.h>

#include "binding/channel_binding.h"
#include "binding/dirty_writer_binding.h"
#include "binding/memory_binding.h"
#include "binding/ram_binding.h"
#include "binding/support.h"
#include "binding/system_binding.h"
#include "binding/vm_binding.h"

namespace {

Napi::Object init(Napi::Env env, Napi::Object exports) {
  using namespace godwit::binding;
  if (!Bridge::install(env)) return exports;
  init_memory(env, exports);
  init_dirty_writer(env, exports);
  init_vm(env, exports);
  init_system(env, exports);
  init_channel(env, exports);
  init_ram(env, exports);
  return exports;
}

}  // namespace

NODE_API_MODULE(godwit, init)
