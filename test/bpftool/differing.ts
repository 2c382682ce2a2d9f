// The recorded cases that the emulated kernel rightly answers differently. Each says why, and what of it is compared all
// the same: `shape` leaves only that.

export interface Difference {
  cases: RegExp;
  reason: string;
  shape: (text: string) => string;
}

/** Program types that the recorded kernel was built without, or was not allowed to load; here the verifier takes them. */
const OTHER_PROGRAMS = 'lirc_mode2|tracing|ext';
/** Map types that belong to hooks which are not emulated. */
const OTHER_MAPS =
  'stack_trace|cgroup_array|sockmap|sockhash|cgroup_storage|reuseport_sockarray|percpu_cgroup_storage|sk_storage|' +
  'struct_ops|inode_storage|task_storage|cgrp_storage|arena';

export const differing: readonly Difference[] = [
  {
    cases: /dump-jited(?!-file)/,
    reason: 'machine code is WebAssembly here, x86-64 there; the functions are compared',
    shape: (text) => {
      const plain = [...text.matchAll(/^(\S.*:)\n(bpf_prog_\w+:)$/gm)].map(
        ([, proto, name]) => `${proto} ${name}`,
      );
      const json = [...text.matchAll(/"proto": ?"([^"]*)",\s*"name": ?"([^"]*)"/g)].map(
        ([, proto, name]) => `${proto} ${name}`,
      );
      return [...plain, ...json].join('\n');
    },
  },
  {
    cases: /feature-probe-kernel/,
    reason:
      'the emulated kernel also interprets, has no maps for hooks that it does not have, and takes programs that the ' +
      'recorded one was built without or forbade; everything else is compared',
    shape: (text) =>
      text
        .replace(/^CONFIG_BPF_JIT_ALWAYS_ON .*\n/m, '')
        .replace(
          new RegExp(`^eBPF (program_type (${OTHER_PROGRAMS})|map_type (${OTHER_MAPS})) is .*\\n`, 'gm'),
          '',
        )
        .replace(
          new RegExp(`^eBPF helpers supported for program type (${OTHER_PROGRAMS}):\\n(\\t.*\\n)*`, 'gm'),
          '',
        )
        .replace(/^\t- bpf_override_return\n/gm, '')
        .replace(/"CONFIG_BPF_JIT_ALWAYS_ON": ?[^,]*,\s*/, '')
        .replace(
          new RegExp(`"have_((${OTHER_PROGRAMS})_prog|(${OTHER_MAPS})_map)_type": ?\\w+,?\\s*`, 'g'),
          '',
        )
        .replace(new RegExp(`"(${OTHER_PROGRAMS})_available_helpers": ?\\[[^\\]]*\\],?\\s*`, 'g'), '')
        .replace(/"bpf_override_return",?/g, ''),
  },
  {
    cases: /^maps-map-list\./,
    reason:
      'bpftool uses one structure for all maps, and Linux 6.18 leaves in it what a map does not have: maps without BTF ' +
      'are listed with the id of the map before',
    shape: (text) =>
      text.replaceAll(/,\s*"btf_id": ?\d+|^\tbtf_id \d+(\n| {2})/gm, (_, end) => (end === '  ' ? '\t' : '')),
  },
];
