// The settings of a kernel that decide what BPF can do in it, in the order in which they are shown.

/** `macro`: also shown as C. */
export const CONFIG_OPTIONS: readonly { name: string; macro?: boolean }[] = [
  ...[
    // BPF itself.
    ...['BPF', 'BPF_SYSCALL', 'HAVE_EBPF_JIT', 'BPF_JIT', 'BPF_JIT_ALWAYS_ON'],
    ...['DEBUG_INFO_BTF', 'DEBUG_INFO_BTF_MODULES'],
    ...['CGROUPS', 'CGROUP_BPF', 'CGROUP_NET_CLASSID', 'SOCK_CGROUP_DATA'],
    // Tracing.
    ...['BPF_EVENTS', 'KPROBE_EVENTS', 'UPROBE_EVENTS', 'TRACING', 'FTRACE_SYSCALLS'],
    ...['FUNCTION_ERROR_INJECTION', 'BPF_KPROBE_OVERRIDE'],
    // The network.
    ...['NET', 'XDP_SOCKETS', 'LWTUNNEL_BPF', 'NET_ACT_BPF', 'NET_CLS_BPF', 'NET_CLS_ACT', 'NET_SCH_INGRESS'],
    ...['XFRM', 'IP_ROUTE_CLASSID', 'IPV6_SEG6_BPF', 'BPF_LIRC_MODE2', 'BPF_STREAM_PARSER'],
    'NETFILTER_XT_MATCH_BPF',
    'TEST_BPF',
  ].map((name) => ({ name: `CONFIG_${name}` })),
  { name: 'CONFIG_HZ', macro: true },
];

/** Settings of a running kernel: a number in a file, and what each number means. */
export interface Sysctl {
  file: string;
  /** The name in JSON. */
  name: string;
  /** Said when there is no such number to be read. */
  missing: string;
  meanings: Readonly<Record<number, string>>;
  other: (value: number) => string;
}

export const SYSCTLS: readonly Sysctl[] = [
  {
    file: '/proc/sys/kernel/unprivileged_bpf_disabled',
    name: 'unprivileged_bpf_disabled',
    missing: 'Unable to retrieve required privileges for bpf() syscall',
    meanings: {
      0: 'bpf() syscall for unprivileged users is enabled',
      1: 'bpf() syscall restricted to privileged users (without recovery)',
      2: 'bpf() syscall restricted to privileged users (admin can change)',
    },
    other: (value) => `bpf() syscall restriction has unknown value ${value}`,
  },
  {
    file: '/proc/sys/net/core/bpf_jit_enable',
    name: 'bpf_jit_enable',
    missing: 'Unable to retrieve JIT-compiler status',
    meanings: {
      0: 'JIT compiler is disabled',
      1: 'JIT compiler is enabled',
      2: 'JIT compiler is enabled with debugging traces in kernel logs',
    },
    other: (value) => `JIT-compiler status has unknown value ${value}`,
  },
  {
    file: '/proc/sys/net/core/bpf_jit_harden',
    name: 'bpf_jit_harden',
    missing: 'Unable to retrieve JIT hardening status',
    meanings: {
      0: 'JIT compiler hardening is disabled',
      1: 'JIT compiler hardening is enabled for unprivileged users',
      2: 'JIT compiler hardening is enabled for all users',
    },
    other: (value) => `JIT hardening status has unknown value ${value}`,
  },
  {
    file: '/proc/sys/net/core/bpf_jit_kallsyms',
    name: 'bpf_jit_kallsyms',
    missing: 'Unable to retrieve JIT kallsyms export status',
    meanings: {
      0: 'JIT compiler kallsyms exports are disabled',
      1: 'JIT compiler kallsyms exports are enabled for root',
    },
    other: (value) => `JIT kallsyms exports status has unknown value ${value}`,
  },
  {
    file: '/proc/sys/net/core/bpf_jit_limit',
    name: 'bpf_jit_limit',
    missing: 'Unable to retrieve global memory limit for JIT compiler for unprivileged users',
    meanings: {},
    other: (value) => `Global memory limit for JIT compiler for unprivileged users is ${value} bytes`,
  },
];
