// /proc/config.gz: how the kernel was built, for programs and tools that ask. What is emulated of Linux 6.18 is set; what a
// program cannot hook here (kprobes' events, infrared remotes) is not.

const SETTINGS: readonly string[] = [
  ...['BPF', 'HAVE_EBPF_JIT', 'BPF_SYSCALL', 'BPF_JIT', 'DEBUG_INFO_BTF'],
  ...['CGROUPS', 'CGROUP_BPF', 'CGROUP_NET_CLASSID', 'SOCK_CGROUP_DATA'],
  ...['BPF_EVENTS', 'UPROBE_EVENTS', 'TRACING', 'FTRACE_SYSCALLS'],
  ...['NET', 'XDP_SOCKETS', 'LWTUNNEL_BPF', 'NET_CLS_BPF', 'NET_CLS_ACT', 'NET_SCH_INGRESS', 'XFRM'],
  ...['IP_ROUTE_CLASSID', 'IPV6_SEG6_BPF', 'BPF_STREAM_PARSER', 'NETFILTER_XT_MATCH_BPF'],
  ...['64BIT', 'X86_64', 'SMP', 'HZ_250'],
];
const MISSING: readonly string[] = [
  // Programs can also be interpreted.
  'BPF_JIT_ALWAYS_ON',
  ...['DEBUG_INFO_BTF_MODULES', 'KPROBE_EVENTS', 'FUNCTION_ERROR_INJECTION', 'BPF_KPROBE_OVERRIDE'],
  ...['NET_ACT_BPF', 'BPF_LIRC_MODE2', 'TEST_BPF', 'BPF_LSM'],
];

/** The text, as Linux's own begins: tools look for the second line. */
const configText = (release: string): string =>
  `#
# Automatically generated file; DO NOT EDIT.
# Linux/x86 ${release} Kernel Configuration
#
${SETTINGS.map((name) => `CONFIG_${name}=y\n`).join('')}CONFIG_HZ=250
${MISSING.map((name) => `# CONFIG_${name} is not set\n`).join('')}`;

/** The file's content. */
export async function kernelConfig(release: string): Promise<Uint8Array> {
  const packed = new Blob([configText(release)]).stream().pipeThrough(new CompressionStream('gzip'));
  return new Uint8Array(await new Response(packed).arrayBuffer());
}
