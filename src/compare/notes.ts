// What cannot be the same in two kernels: helpers whose answer is the kernel's own, map types whose contents depend on
// it. A comparison lists what of this an object uses, so that a difference can be explained.

import { helperNames } from '../bpf/helpers.js';
import { MapType, mapTypeName } from '../bpf/types.js';
import type { MapSpec, ProgramSpec } from '../elf/spec.js';
import { isHelperCall } from '../isa/classify.js';
import type { Note } from './comparison.js';

const CLOCK = 'each kernel has its own clock';
const RANDOM = 'random numbers';
const CPU = 'the CPU on which the program runs';
const TASK = 'the process that runs the program';
const ADDRESS = "addresses of the kernel's own code and data";
const SEED = 'depends on a seed or a counter of the kernel';

/** By the helper's name. */
const helperReasons: Readonly<Record<string, string>> = {
  ktime_get_ns: CLOCK,
  ktime_get_boot_ns: CLOCK,
  ktime_get_coarse_ns: CLOCK,
  ktime_get_tai_ns: CLOCK,
  jiffies64: CLOCK,
  get_prandom_u32: RANDOM,
  get_smp_processor_id: CPU,
  get_numa_node_id: CPU,
  get_current_pid_tgid: TASK,
  get_current_uid_gid: TASK,
  get_current_comm: TASK,
  get_current_task: TASK,
  get_current_task_btf: TASK,
  get_current_cgroup_id: TASK,
  get_current_ancestor_cgroup_id: TASK,
  get_ns_current_pid_tgid: TASK,
  get_cgroup_classid: TASK,
  get_stackid: ADDRESS,
  get_stack: ADDRESS,
  get_task_stack: ADDRESS,
  get_func_ip: ADDRESS,
  get_socket_cookie: SEED,
  get_netns_cookie: SEED,
  get_hash_recalc: SEED,
  perf_event_read: SEED,
  perf_event_read_value: SEED,
};

const helperIds = new Map(
  Object.entries(helperReasons).map(([name, why]) => [helperNames.indexOf(name), { name, why }]),
);

const PRINTS: ReadonlySet<number> = new Set(
  ['trace_printk', 'trace_vprintk'].map((name) => helperNames.indexOf(name)),
);

const mapReasons: Partial<Record<MapType, string>> = {
  [MapType.LruHash]: 'which elements make room for new ones depends on the CPU and on the order of hashes',
  [MapType.LruPercpuHash]:
    'which elements make room for new ones depends on the CPU and on the order of hashes',
  [MapType.StackTrace]: ADDRESS,
};

/** What in these programs and maps depends on the kernel. */
export function notesOn(programs: readonly ProgramSpec[], maps: readonly MapSpec[]): Note[] {
  const notes = new Map<string, Note>();
  for (const { instructions } of programs) {
    for (const insn of instructions) {
      const known = isHelperCall(insn) ? helperIds.get(insn.imm) : undefined;
      if (known) notes.set(known.name, { what: `bpf_${known.name}`, why: known.why });
    }
  }
  for (const { name, type } of maps) {
    const why = mapReasons[type];
    if (why !== undefined) notes.set(`map ${name}`, { what: `map '${name}' (${mapTypeName(type)})`, why });
  }
  return [...notes.values()];
}

/** Whether any of these programs can print to trace_pipe. */
export const mayPrint = (programs: readonly ProgramSpec[]): boolean =>
  programs.some(({ instructions }) =>
    instructions.some((insn) => isHelperCall(insn) && PRINTS.has(insn.imm)),
  );
